"""Reductions, and the places and values of the largest."""

from .elementwise import maybe
from .moving import listed, signed
from .table import operator

AXES_ARE_INPUT = {"ReduceSum": 13}


def reduced(draft, op, value, exact):
    attributes, inputs = maybe(draft, keepdims=draft.between(0, 1)), []
    since = AXES_ARE_INPUT.get(op, 18)
    if draft.chance(0.8):
        axes = draft.random.sample(range(value.rank), draft.between(1, value.rank))
        axes = [signed(draft, axis, value.rank) for axis in axes]
        more, inputs = listed(draft, "axes", axes, since)
        attributes |= more
    elif draft.opset >= since and draft.chance(0.5):
        attributes["noop_with_empty_axes"] = draft.between(0, 1)
    draft.node(op, [value, *inputs], attributes, exact=exact)


@operator("ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare")
def mean_or_norm(draft, op):
    reduced(draft, op, draft.pick(), False)


@operator("ReduceSum", "ReduceMax", "ReduceMin")
def exact_reduction(draft, op):
    reduced(draft, op, draft.pick(), True)


@operator("ReduceProd")
def product(draft, op):
    reduced(draft, op, draft.bounded(draft.pick(), 2), False)


@operator("ReduceLogSum")
def log_sum(draft, op):
    reduced(draft, op, draft.positive(draft.pick()), False)


@operator("ReduceLogSumExp")
def log_sum_exp(draft, op):
    reduced(draft, op, draft.bounded(draft.pick(), 8), False)


@operator("ArgMax", "ArgMin")
def extreme_place(draft, op):
    value = draft.pick(exact=True)
    attributes = maybe(draft, axis=signed(draft, draft.between(0, value.rank - 1), value.rank))
    attributes |= maybe(draft, keepdims=draft.between(0, 1))
    if draft.opset >= 12:
        attributes |= maybe(draft, select_last_index=draft.between(0, 1))
    draft.node(op, [value], attributes)


@operator("TopK")
def top_k(draft, op):
    value = draft.pick(exact=True)
    axis = draft.between(0, value.rank - 1)
    count = draft.between(1, value.shape[axis])
    attributes = {} if axis == value.rank - 1 and draft.chance(0.5) else {"axis": signed(draft, axis, value.rank)}
    if draft.opset >= 11:
        attributes |= maybe(draft, largest=draft.between(0, 1))
    more, inputs = listed(draft, "k", [count], 10)
    if "k" in more:
        more["k"] = count
    draft.node(op, [value, *inputs], attributes | more, outputs=2, exact=True)
