"""Checks the fuzzer itself: all operators come up, and faults shrink to one node."""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from . import run, shrink
from .draft import Refused
from .generate import make, operators_of
from .table import TABLE

GRAPHS = 500
SEED = 1
# A stand-in for the runner, which fails whenever a graph contains an operator.
FAKE = """
import sys
from pathlib import Path
import onnx
cases = sorted(path for path in Path(sys.argv[-1]).iterdir())
failed = 0
for case in cases:
    model = onnx.load(case / "model.onnx")
    found = any(node.op_type == OPERATOR for node in model.graph.node)
    failed += found
    print(f"failed {case.name}: it holds one" if found else f"passed {case.name}")
print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
"""
FAULTS = ["Conv", "Softmax", "Slice", "Resize", "TopK", "Where"]


def graphs():
    for index in range(GRAPHS):
        try:
            yield make(SEED, index)
        except Refused:
            continue


def check():
    cases = list(graphs())
    seen = Counter()
    for model, _, _ in cases:
        seen.update(operators_of(model))
    absent = [name for name in TABLE if not seen[name]]
    print(f"{len(cases)} graphs of {GRAPHS} stand, {len(TABLE) - len(absent)} of {len(TABLE)} operators come up")
    if absent:
        print(f"absent: {', '.join(absent)}")
    large = [name for name in FAULTS if not shrinks(cases, name)]
    return 1 if absent or large else 0


def shrinks(cases, operator):
    """Whether a fault of this operator shrinks to one node."""
    holding = [case for case in cases if operators_of(case[0])[operator] and len(case[0].graph.node) > 4]
    model, inputs, _ = holding[0]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "fake.py"
        script.write_text(f"OPERATOR = {operator!r}\n{FAKE}")
        runner = [sys.executable, str(script)]
        fails = lambda *case: run.run_one(runner, Path(folder) / "cases", *case).is_fault
        small = shrink.shrink(model, inputs, fails)[0]
    print(f"a fault of {operator} shrinks from {len(model.graph.node)} nodes to {len(small.graph.node)}")
    return [node.op_type for node in small.graph.node] == [operator]

