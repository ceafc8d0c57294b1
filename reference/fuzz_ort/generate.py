"""Random valid graphs over the table of operators."""

import random
from collections import Counter

import numpy as np
import onnx

from . import elementwise, moving, reducing, windows  # noqa: F401 (they fill the table)
from .draft import Draft, Refused, session
from .table import TABLE

OPSETS = range(6, 25)
MAX_NODES = 12
MAX_OUTPUT = 1e6


def make(seed, index):
    """A model, its inputs and its outputs in ONNX Runtime, or `Refused`."""
    chance = random.Random(f"{seed}-{index}")
    draft = Draft(chance, chance.choice(OPSETS))
    fitting = [entry for entry in TABLE.values() if entry.in_opset(draft.opset)]
    for _ in range(chance.randint(2, MAX_NODES)):
        if len(draft.nodes) < MAX_NODES:
            add(draft, fitting)
    model, inputs = draft.model()
    onnx.checker.check_model(model)
    return model, inputs, run(model, inputs)


def add(draft, fitting):
    """Adds one of the operators; a few attempts, as many do not fit what is there."""
    for _ in range(10):
        state = draft.state()
        try:
            entry = draft.choose(fitting)
            entry.add(draft, entry.name)
            return
        except Refused:
            draft.restore(state)


def run(model, inputs, checked=True):
    """The outputs in ONNX Runtime, by name; `checked` refuses those that cannot be compared."""
    try:
        outputs = session(model).run(None, inputs)
    except Exception as error:  # whatever ONNX Runtime says against the graph
        raise Refused(str(error)) from error
    for array in outputs if checked else []:
        if array.dtype.kind == "f" and not (np.isfinite(array).all() and np.abs(array).max(initial=0) <= MAX_OUTPUT):
            raise Refused("an output is not finite or too large")
    return {value.name: array for value, array in zip(model.graph.output, outputs)}


def operators_of(model):
    return Counter(node.op_type for node in model.graph.node)
