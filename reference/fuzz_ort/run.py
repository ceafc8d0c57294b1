"""Test cases as folders, and the program that runs them."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import numpy_helper

LONGEST = 600.0

# What svertka says that it cannot honour, and is right to say. Every other refusal is a failure.
KNOWN_LIMITS = {
    "three spatial axes": r"three spatial axes",
    "ceil_mode of LpPool": r"LpPool.*ceil_mode",
    "Einsum that is no product of two matrices": r"Einsum.*no matrix product",
}


@dataclass(frozen=True)
class Outcome:
    status: str
    what: str = ""

    @property
    def limit(self):
        """The known limit that a skipped case met."""
        if self.status != "skipped":
            return None
        return next((name for name, pattern in KNOWN_LIMITS.items() if re.search(pattern, self.what)), None)

    @property
    def is_fault(self):
        return self.status != "passed" and self.limit is None

    @property
    def of_values(self):
        """Whether numbers or shapes differ, rather than that the file is refused."""
        return self.status == "failed" and bool(re.search(r"output `|` has \S+ at \d+, not", self.what))

    @property
    def kind(self):
        """What a fault keeps while its graph shrinks: its words, without names, operators and numbers."""
        words = re.sub(r"`[^`]*`|\([A-Z]\w*, opset \d+\)|\[[^\]]*\]|-?\d[\d.×e-]*", "…", self.what)
        return f"{self.status}: {words}"


def is_same_fault(found, sought):
    """Whether a smaller graph shows the fault that is sought: wrong values too, or a refusal in the same words. What the
    graph is refused for may be that values are wrong before."""
    if not found.is_fault:
        return False
    return found.of_values or not sought.of_values and found.kind == sought.kind


def write_case(folder, model, inputs, outputs):
    """In the form of ONNX's backend tests."""
    data = Path(folder) / "test_data_set_0"
    data.mkdir(parents=True)
    (Path(folder) / "model.onnx").write_bytes(model.SerializeToString())
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for index, (name, array) in enumerate(arrays.items()):
            tensor = numpy_helper.from_array(np.asarray(array), name)
            (data / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())


def start(runner, folder):
    """The runner on a folder of cases, in a process of its own."""
    command = [*runner, "--tolerance", "1e-4", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read(process):
    """The outcome by case, and the last line where the runner did not come to its end."""
    try:
        text, _ = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
        text += "\nthe runner took too long"
    outcomes, last = {}, ""
    for line in text.splitlines():
        last = line or last
        if found := re.match(r"(passed|failed|skipped) ([^\s:]+)(?:: (.*))?$", line):
            outcomes[found[2]] = Outcome(found[1], found[3] or "")
    ended = re.match(r"\d+ passed, \d+ failed, \d+ skipped", last)
    return outcomes, None if ended else f"the runner ended with status {process.returncode}: {last}"


def collect(runner, folder, process):
    """The outcome of every case of a folder. A case at which the runner ends has failed; it goes on behind it."""
    names = sorted(case.name for case in Path(folder).iterdir())
    outcomes, end = read(process)
    while end is not None:
        missing = [name for name in names if name not in outcomes]
        if not missing:
            break
        outcomes[missing[0]] = Outcome("failed", end)
        for name in outcomes:
            shutil.rmtree(Path(folder) / name, ignore_errors=True)
        more, end = read(start(runner, folder)) if missing[1:] else ({}, None)
        outcomes |= more
    for name in names:
        outcomes.setdefault(name, Outcome("failed", "the runner says nothing of it"))
    return outcomes


def run_one(runner, folder, model, inputs, outputs):
    shutil.rmtree(folder, ignore_errors=True)
    write_case(Path(folder) / "case", model, inputs, outputs)
    return collect(runner, folder, start(runner, folder))["case"]
