"""Functions of every element, of one tensor and of several that broadcast."""

import numpy as np

from .draft import Refused
from .table import operator


def maybe(draft, **attributes):
    """Some of the attributes; the others have their defaults."""
    return {name: value for name, value in attributes.items() if draft.chance(0.6)}


@operator("Relu", "Neg", "Abs", "Identity")
def exact_unary(draft, op):
    draft.node(op, [draft.pick()], exact=True)


@operator("Sigmoid", "Tanh", "Softplus", "Softsign")
@operator("Erf", since=9)
@operator("HardSwish", since=14)
@operator("Mish", since=18)
def plain_unary(draft, op):
    draft.node(op, [draft.pick()])


@operator("LeakyRelu")
@operator("Elu")
def with_alpha(draft, op):
    draft.node(op, [draft.pick()], maybe(draft, alpha=draft.choose([0.01, 0.1, 0.5, 1.0, 1.5, 0.0])))


@operator("Selu")
def selu(draft, op):
    draft.node(op, [draft.pick()], maybe(draft, alpha=draft.choose([1.0, 2.0]), gamma=draft.choose([0.5, 1.5])))


@operator("HardSigmoid")
def hard_sigmoid(draft, op):
    draft.node(op, [draft.pick()], maybe(draft, alpha=draft.choose([0.1, 0.5]), beta=draft.choose([0.25, 0.6])))


@operator("Gelu", since=20)
def gelu(draft, op):
    draft.node(op, [draft.pick()], maybe(draft, approximate=draft.choose(["none", "tanh"])))


@operator("Exp")
def exp(draft, op):
    draft.node(op, [draft.bounded(draft.pick(), 4)])


@operator("Log", "Sqrt", "Reciprocal")
def of_positive(draft, op):
    draft.node(op, [draft.positive(draft.pick())])


@operator("Floor", "Ceil")
@operator("Round", since=11)
@operator("Sign", since=9)
def steps(draft, op):
    draft.node(op, [draft.pick(exact=True)], exact=True)


@operator("Clip")
def clip(draft, op):
    low, high = draft.choose([(-1.0, 1.0), (0.0, 6.0), (-0.5, 0.75), (0.25, 2.0)])
    low, high = low if draft.chance(0.7) else None, high if draft.chance(0.7) else None
    value = draft.pick()
    if draft.opset < 11:
        draft.node(op, [value], {k: v for k, v in (("min", low), ("max", high)) if v is not None}, exact=True)
        return
    bounds = [None if bound is None else draft.scalar(bound) for bound in (low, high)]
    while bounds and bounds[-1] is None:
        bounds.pop()
    draft.node(op, [value, *bounds], exact=True)


# Their form of opset 6 is not in ONNX Runtime.
@operator("Add", "Sub", "Mul", since=7)
def arithmetic(draft, op):
    kind = "int" if draft.chance(0.1) else "float"
    pair = [first := draft.pick(kind), draft.partner(first)]
    draft.random.shuffle(pair)
    draft.node(op, pair, exact=True)


@operator("Div", since=7)
def division(draft, op):
    if draft.chance(0.1):
        value = draft.pick("int")
        divisor = draft.integers(draft.between(2, 5), tails=False)
    else:
        value = draft.pick()
        divisor = draft.positive(draft.partner(value))
    draft.node(op, [value, divisor])


@operator("Pow", since=7)
def power(draft, op):
    value = draft.pick()
    if draft.chance(0.4):
        exponent = draft.constant(np.array(draft.choose([2.0, 3.0, 1.0]), np.float32))
        draft.node(op, [value, exponent])
        return
    base = draft.positive(draft.bounded(value, 6))
    draft.node(op, [base, draft.bounded(draft.partner(base), 3)])


@operator("PRelu")
def prelu(draft, op):
    value = draft.pick(ranks=(2, 3, 4))
    ways = [[1], [value.shape[1]] + [1] * (value.rank - 2)]
    if draft.opset < 7:
        ways = [[1], [value.shape[1]]]
    elif draft.chance(0.2):
        ways = [draft.broadcast_shape(value.shape)]
    shape = draft.choose(ways)
    slope = draft.eighths(shape)
    draft.node(op, [value, draft.constant(slope) if draft.chance(0.8) else draft.input(slope)])


@operator("Min", "Max", "Mean", "Sum")
def several(draft, op):
    values = [draft.pick()]
    for _ in range(draft.between(0, 3)):
        values.append(draft.partner(values[0]))
    if draft.opset < 8 and any(value.shape != values[0].shape for value in values):
        raise Refused("no broadcasting yet")
    draft.random.shuffle(values)
    draft.node(op, values, exact=op != "Mean")


@operator("Equal", since=7)
@operator("Greater", "Less", since=7)
@operator("GreaterOrEqual", "LessOrEqual", since=12)
def comparison(draft, op):
    kinds = ["float", "int", "bool"] if op == "Equal" else ["float", "int"]
    if draft.opset < 9 and op != "Equal":
        kinds = ["float"]
    if draft.opset < 11 and op == "Equal":
        kinds = ["int", "bool"]
    kind = "float" if "float" in kinds and draft.chance(0.7) else draft.choose(kinds)
    first = draft.pick(kind, exact=True)
    draft.node(op, [first, draft.partner(first, exact=True)])


@operator("And", "Or", "Xor", since=7)
def logic(draft, op):
    first = draft.pick("bool")
    draft.node(op, [first, draft.partner(first)])


@operator("Not")
def negation(draft, op):
    draft.node(op, [draft.pick("bool")])


@operator("Where", since=9)
def where(draft, op):
    kind = "int" if draft.chance(0.1) else "float"
    value = draft.pick(kind)
    draft.node(op, [draft.partner(value, "bool"), value, draft.partner(value)], exact=True)


@operator("Cast")
def cast(draft, op):
    kind = draft.choose(["float", "float", "int", "bool"])
    to = draft.choose({"float": [1, 7, 6, 9], "int": [1, 9, 6], "bool": [1, 7, 6]}[kind])
    draft.node(op, [draft.pick(kind, exact=to != 1)], {"to": to}, exact=True)


@operator("CastLike", since=15)
def cast_like(draft, op):
    like = draft.pick(draft.choose(["float", "int", "bool"]))
    draft.node(op, [draft.pick(draft.choose(["float", "int", "bool"]), exact=True), like], exact=True)


@operator("Dropout")
def dropout(draft, op):
    value, attributes, inputs = draft.pick(), {}, []
    if draft.opset < 12:
        attributes = maybe(draft, ratio=0.25)
    elif draft.chance(0.5):
        inputs = [draft.scalar(0.25)]
        if draft.chance(0.5):
            inputs.append(draft.constant(np.array(False)))
    if draft.opset < 7:
        attributes["is_test"] = 1
    mask = draft.opset >= 12 and draft.chance(0.2)
    draft.node(op, [value, *inputs], attributes, outputs=1 + mask, exact=True)


@operator("Softmax", "LogSoftmax")
def softmax(draft, op):
    value = draft.pick()
    lowest = -value.rank if draft.opset >= 11 else 0
    attributes = {"axis": draft.between(lowest, value.rank - 1)} if draft.chance(0.7) else {}
    draft.node(op, [value], attributes)
