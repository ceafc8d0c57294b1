"""Makes the graph of a fault as small as it gets while the runner still finds the fault.

First a value in the middle becomes the only output, the earliest that shows the fault. Then values become inputs, or
initialisers if they do not depend on inputs, with the numbers that ONNX Runtime computes, and what leads to them falls
away.
"""

import onnx
from onnx import helper, numpy_helper

from .draft import Refused, declared, undeclared
from .generate import run


class Graph:
    """A model with the values of all that it computes."""

    def __init__(self, model, inputs):
        self.model, self.inputs = model, inputs
        self.arrays = dict(inputs) | every_value(model, inputs)
        self.arrays |= {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.constants = constants_of(model)

    def part(self, outputs, cut=()):
        """The part that leads to some outputs, where the values `cut` are inputs; with inputs and outputs."""
        graph = self.model.graph
        needed, nodes = set(outputs), []
        for node in reversed(graph.node):
            if any(name in needed and name not in cut for name in node.output if name):
                nodes.insert(0, node)
                needed.update(name for name in node.input if name)
        made = {name for node in nodes for name in node.output}
        kept = [tensor for tensor in graph.initializer if tensor.name in needed and tensor.name not in cut]
        constants = {tensor.name for tensor in kept}
        fed = sorted(needed - made - constants | {name for name in needed if name in cut})
        if not nodes or any(name in made for name in fed):
            return None
        small = helper.make_graph(
            nodes,
            graph.name,
            [declared(name, self.arrays[name]) for name in fed],
            [declared(name, self.arrays[name]) for name in outputs],
            kept,
        )
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        model.graph.CopyFrom(small)
        model.ir_version = max(4, model.ir_version)
        return model, {name: self.arrays[name] for name in fed}


def every_value(model, inputs):
    """The values of all nodes."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = {value.name for value in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name]
    copy.graph.output.extend(undeclared(name) for name in names if name not in outputs)
    return run(copy, inputs, checked=False)


def constants_of(model):
    """What can be computed before anything runs: initialisers, shapes, and what is made of them."""
    known = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Shape", "Size") or all(name in known for name in node.input if name):
            known.update(node.output)
    return known


def shrink(model, inputs, fails):
    """The smallest graph found for which `fails(model, inputs, outputs)` holds; with inputs and outputs.

    `fails` holds for the model given."""
    best = (model, inputs, run(model, inputs, checked=False))
    best = first_output(best, fails) or best
    while (smaller := cut_somewhere(best, fails)) is not None:
        best = smaller
    return best


def attempt(part, fails):
    if part is None:
        return None
    try:
        outputs = run(*part, checked=False)
    except Refused:
        return None
    return (*part, outputs) if fails(*part, outputs) else None


def first_output(best, fails):
    graph = Graph(*best[:2])
    for node in graph.model.graph.node:
        for outputs in [[name] for name in node.output if name] + [[name for name in node.output if name]]:
            if found := attempt(graph.part(outputs), fails):
                return found
    return None


def cut_somewhere(best, fails):
    """With one more value as an input; those next to the outputs come first."""
    graph = Graph(*best[:2])
    outputs = [value.name for value in graph.model.graph.output]
    made = [name for node in graph.model.graph.node for name in node.output if name and name not in outputs]
    for name in reversed(made):
        cut = frozen(graph, outputs, name) if name in graph.constants else graph.part(outputs, {name})
        if found := attempt(cut, fails):
            if len(found[0].graph.node) < len(best[0].graph.node):
                return found
    return None


def frozen(graph, outputs, name):
    """With a value as an initialiser."""
    part = graph.part(outputs, {name})
    if part is None or name not in part[1]:
        return None
    model, inputs = part
    kept = [value for value in model.graph.input if value.name != name]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.append(numpy_helper.from_array(inputs.pop(name), name))
    return model, inputs
