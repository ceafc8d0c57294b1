"""Random graphs in ONNX Runtime and in svertka's two engines.

    python -m fuzz_ort --runner PROGRAM [--minutes 60] [--seed N] [--graphs N] [--regressions FOLDER]
    python -m fuzz_ort --show SEED INDEX
    python -m fuzz_ort --selftest

PROGRAM runs folders of test cases: `PROGRAM --tolerance T FOLDER` prints `passed NAME`, `skipped NAME: why` or
`failed NAME: what` for each and `N passed, N failed, N skipped` at the end. A fault, which is a failed case or one skipped
for another reason than the known limits in `run.py`, is shrunk, printed and stored in FOLDER. Ends with 1 if there was one.
"""

import argparse
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime

from . import generate, run, selftest, shrink
from .draft import Refused
from .show import text

BATCH = 200
# Faults of one kind that are shrunk: refusals, and wrong values, which look alike. The others are counted.
SHRUNK_REFUSALS, SHRUNK_VALUES = 2, 40


class Campaign:
    def __init__(self, arguments, folder):
        self.seed, self.runner = arguments.seed, shlex.split(arguments.runner)
        self.regressions, self.folder = Path(arguments.regressions), Path(folder)
        self.graphs, self.refused, self.index = 0, Counter(), 0
        self.operators, self.opsets = Counter(), Counter()
        self.faults, self.limits, self.signatures = Counter(), Counter(), Counter()

    def batch(self):
        """Writes a batch of cases, and gives its folder."""
        folder = self.folder / f"batch-{self.index}"
        folder.mkdir()
        written = 0
        while written < BATCH:
            written += self.write(folder)
        return folder

    def write(self, folder):
        self.index += 1
        try:
            model, inputs, outputs = generate.make(self.seed, self.index)
        except Refused as reason:
            self.refused[str(reason)[:60]] += 1
            return False
        run.write_case(folder / str(self.index), model, inputs, outputs)
        self.operators.update(generate.operators_of(model))
        self.opsets[model.opset_import[0].version] += 1
        self.graphs += 1
        return True

    def finish(self, folder, process):
        for name, outcome in sorted(run.collect(self.runner, folder, process).items()):
            if outcome.limit:
                self.limits[outcome.limit] += 1
            elif outcome.is_fault:
                self.faults[outcome.kind] += 1
                self.report(int(name), outcome)
        shutil.rmtree(folder)

    def report(self, index, outcome):
        """Shrinks the graph of a fault, prints and stores it."""
        if self.faults[outcome.kind] > (SHRUNK_VALUES if outcome.of_values else SHRUNK_REFUSALS):
            return
        print(f"fault at graph {index} of seed {self.seed}: {outcome.status}: {outcome.what}", flush=True)
        last = outcome

        def fails(*case):
            nonlocal last
            found = run.run_one(self.runner, self.folder / "shrinking", *case)
            if run.is_same_fault(found, outcome):
                last = found
                return True
            return False

        model, inputs, outputs = shrink.shrink(*generate.make(self.seed, index)[:2], fails)
        print(f"{last.status}: {last.what}\n{text(model, inputs, outputs)}", flush=True)
        signature = (outcome.kind, *(node.op_type for node in model.graph.node))
        self.signatures[signature] += 1
        if self.signatures[signature] == 1:
            self.store(index, model, inputs, outputs)

    def store(self, index, model, inputs, outputs):
        name = f"fuzz_{model.graph.node[-1].op_type.lower()}_{self.seed}_{index}"
        shutil.rmtree(self.regressions / name, ignore_errors=True)
        run.write_case(self.regressions / name, model, inputs, outputs)

    def summary(self, seconds):
        print("operators: " + ", ".join(f"{name} {count}" for name, count in sorted(self.operators.items())))
        print("opsets: " + ", ".join(f"{opset}: {count}" for opset, count in sorted(self.opsets.items())))
        print(f"graphs taken back: {sum(self.refused.values())}")
        for title, counts in (("known limit", self.limits), ("fault", self.faults)):
            for reason, count in counts.most_common():
                print(f"{title}: {count} of: {reason}")
        print(f"{self.graphs} graphs in {seconds / 60:.1f} minutes, {sum(self.faults.values())} faults")


def campaign(arguments):
    """One batch is run while the next one is made."""
    print(f"seed {arguments.seed}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz_ort_") as folder:
        state, running = Campaign(arguments, folder), None
        while time.monotonic() - began < arguments.minutes * 60 and state.graphs < arguments.graphs:
            made = state.batch()
            if running:
                state.finish(*running)
            running = (made, run.start(state.runner, made))
        if running:
            state.finish(*running)
        state.summary(time.monotonic() - began)
    return 1 if state.faults else 0


def main():
    here = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runner", default=str(here / "target/release/examples/conformance"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--graphs", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1000 % 1_000_000)
    parser.add_argument("--regressions", default=str(here / "crates/engine/tests/regressions"))
    parser.add_argument("--show", type=int, nargs=2, metavar=("SEED", "INDEX"))
    parser.add_argument("--selftest", action="store_true")
    arguments = parser.parse_args()
    if arguments.selftest:
        return selftest.check()
    if arguments.show:
        print(text(*generate.make(*arguments.show)))
        return 0
    return campaign(arguments)


if __name__ == "__main__":
    sys.exit(main())
