"""Operators that move elements about, make them of shapes, or resize pictures."""

import math

import numpy as np
from onnx import helper

from .draft import Refused
from .elementwise import maybe
from .table import operator


def kind_of_moved(draft):
    return draft.choose(["float"] * 8 + ["int"])


def signed(draft, axis, rank, since=11):
    """An axis, from the end in some cases where that is allowed."""
    return axis - rank if draft.opset >= since and draft.chance(0.3) else axis


def listed(draft, attribute, numbers, since):
    """Numbers as an attribute before an operator set, as an input from there on."""
    if draft.opset < since:
        return {attribute: numbers}, []
    return {}, [draft.integers(numbers)]


@operator("Reshape")
def reshape(draft, op):
    value = draft.pick(kind_of_moved(draft))
    left, shape = value.array.size, []
    for _ in range(draft.between(0, 3)):
        factor = draft.choose([number for number in range(1, left + 1) if left % number == 0])
        shape.append(factor)
        left //= factor
    shape.append(left)
    draft.random.shuffle(shape)
    asked = list(shape)
    if draft.chance(0.4):
        asked[draft.between(0, len(asked) - 1)] = -1
    for at, extent in enumerate(asked):
        if at < value.rank and extent == value.shape[at] and draft.chance(0.4):
            asked[at] = 0
    attributes = {"allowzero": draft.between(0, 1)} if draft.opset >= 14 and 0 not in asked and draft.chance(0.2) else {}
    draft.node(op, [value, draft.integers(asked)], attributes, exact=True)


@operator("Flatten")
def flatten(draft, op):
    value = draft.pick()
    attributes = maybe(draft, axis=draft.between(-value.rank if draft.opset >= 11 else 0, value.rank))
    draft.node(op, [value], attributes, exact=True)


@operator("Transpose")
def transpose(draft, op):
    value = draft.pick(kind_of_moved(draft))
    draft.node(op, [value], maybe(draft, perm=draft.random.sample(range(value.rank), value.rank)), exact=True)


@operator("Squeeze")
def squeeze(draft, op):
    value = draft.pick(kind_of_moved(draft), where=lambda value: 1 in value.shape)
    ones = [at for at, extent in enumerate(value.shape) if extent == 1]
    axes = [signed(draft, at, value.rank) for at in draft.random.sample(ones, draft.between(1, len(ones)))]
    attributes, inputs = listed(draft, "axes", axes, 13) if draft.chance(0.8) else ({}, [])
    draft.node(op, [value, *inputs], attributes, exact=True)


@operator("Unsqueeze")
def unsqueeze(draft, op):
    value = draft.pick(kind_of_moved(draft), ranks=(0, 1, 2, 3))
    count = draft.between(1, 2)
    axes = sorted(draft.random.sample(range(value.rank + count), count))
    axes = [signed(draft, at, value.rank + count) for at in axes]
    attributes, inputs = listed(draft, "axes", axes, 13)
    draft.node(op, [value, *inputs], attributes, exact=True)


@operator("Concat")
def concat(draft, op):
    value = draft.pick(kind_of_moved(draft))
    axis = draft.between(0, value.rank - 1)

    def fits(other):
        return other.rank == value.rank and other.shape[:axis] + other.shape[axis + 1:] == (
            value.shape[:axis] + value.shape[axis + 1:]
        )

    fitting = [other for other in draft.values if other.array.dtype == value.array.dtype and fits(other)]
    inputs = [value]
    for _ in range(draft.between(0, 3)):
        shape = list(value.shape)
        shape[axis] = draft.between(1, 4)
        inputs.append(draft.choose(fitting) if draft.chance(0.6) else other_part(draft, value.kind, shape))
    draft.random.shuffle(inputs)
    draft.node(op, inputs, {"axis": signed(draft, axis, value.rank)}, exact=True)


def other_part(draft, kind, shape):
    if draft.chance(0.5):
        return draft.new(kind, shape)
    return draft.constant(draft.eighths(shape) if kind == "float" else draft.numbers.integers(0, 9, shape), tails=False)


@operator("Split")
def split(draft, op):
    value = draft.pick(kind_of_moved(draft), where=lambda value: max(value.shape) > 1)
    axis = draft.choose([at for at, extent in enumerate(value.shape) if extent > 1])
    extent = value.shape[axis]
    count = draft.between(1, min(3, extent))
    attributes = {"axis": signed(draft, axis, value.rank)}
    if extent % count == 0 and draft.chance(0.4):
        more = {"num_outputs": count} if draft.opset >= 18 else {}
        draft.node(op, [value], attributes | more, outputs=[True] * count, exact=True)
        return
    if draft.opset >= 18 and draft.chance(0.3) and -(-extent // count) * (count - 1) < extent:
        draft.node(op, [value], attributes | {"num_outputs": count}, outputs=[True] * count, exact=True)
        return
    cuts = sorted(draft.random.sample(range(1, extent), count - 1))
    parts = [end - start for start, end in zip([0, *cuts], [*cuts, extent])]
    more, inputs = listed(draft, "split", parts, 13)
    draft.node(op, [value, *inputs], attributes | more, outputs=[True] * count, exact=True)


def bounds(draft, extent, step):
    """Where a slice with this step starts and ends, in the ways that this can be said."""
    low = draft.between(0, extent - 1)
    high = draft.between(low, extent - 1)
    if step > 0:
        start, end = low, high + 1
        start = start - extent if draft.chance(0.3) else start
        end = draft.choose([extent + 5, 2**31 - 1, 2**63 - 1]) if end == extent and draft.chance(0.5) else end
        return start, end - extent if end < extent and draft.chance(0.3) else end
    start, end = high, low - 1
    start = extent + 3 if start == extent - 1 and draft.chance(0.4) else start
    return start, draft.choose([-extent - 1, -(2**31), -(2**63) + 1]) if end < 0 else end


@operator("Slice")
def cut(draft, op):
    value = draft.pick(kind_of_moved(draft))
    axes = draft.random.sample(range(value.rank), draft.between(1, value.rank))
    with_steps = draft.opset >= 10 and draft.chance(0.5)
    if draft.chance(0.2):
        axes = list(range(len(axes)))
    steps = [draft.choose([1, 2, 3, -1, -2]) if with_steps else 1 for _ in axes]
    starts, ends = zip(*(bounds(draft, value.shape[axis], step) for axis, step in zip(axes, steps)))
    implicit = axes == list(range(len(axes))) and not with_steps
    axes = [signed(draft, axis, value.rank, 10) for axis in axes]
    if draft.opset < 10:
        attributes = {"starts": list(starts), "ends": list(ends)} | ({} if implicit else {"axes": axes})
        draft.node(op, [value], attributes, exact=True)
        return
    inputs = [draft.integers(starts), draft.integers(ends)]
    inputs += [] if implicit else [draft.integers(axes)]
    draft.node(op, [value, *inputs, *([draft.integers(steps)] if with_steps else [])], exact=True)


def indices(draft, extent, shape):
    low = -extent if draft.opset >= 11 and draft.chance(0.3) else 0
    array = np.asarray(draft.numbers.integers(low, extent, shape))
    if draft.chance(0.15):
        array = array.astype(np.int32)
    return draft.constant(array, tails=False) if draft.chance(0.7) else draft.input(array)


@operator("Gather")
def gather(draft, op):
    value = draft.pick(kind_of_moved(draft))
    axis = draft.between(0, value.rank - 1)
    shape = draft.choose([[], [1], [draft.between(1, 4)], [2, draft.between(1, 3)]])
    attributes = {} if axis == 0 and draft.chance(0.5) else {"axis": signed(draft, axis, value.rank)}
    draft.node(op, [value, indices(draft, value.shape[axis], shape)], attributes, exact=True)


@operator("GatherElements", since=11)
def gather_elements(draft, op):
    value = draft.pick(kind_of_moved(draft))
    axis = draft.between(0, value.rank - 1)
    shape = [draft.between(1, extent) for extent in value.shape]
    shape[axis] = draft.between(1, 4)
    attributes = {} if axis == 0 and draft.chance(0.5) else {"axis": signed(draft, axis, value.rank)}
    draft.node(op, [value, indices(draft, value.shape[axis], shape)], attributes, exact=True)


@operator("Expand", since=8)
def expand(draft, op):
    value = draft.pick(kind_of_moved(draft))
    shape = [draft.between(1, 3) if extent == 1 else draft.choose([1, extent]) for extent in value.shape]
    if value.rank < 4 and draft.chance(0.3):
        shape = [draft.between(1, 3), *shape]
    elif draft.chance(0.2):
        shape = shape[draft.between(0, value.rank - 1):]
    draft.node(op, [value, draft.integers(shape)], exact=True)


@operator("Tile")
def tile(draft, op):
    value = draft.pick(kind_of_moved(draft))
    draft.node(op, [value, draft.integers([draft.choose([1, 1, 2, 3]) for _ in value.shape])], exact=True)


@operator("Pad")
def pad(draft, op):
    value = draft.pick()
    mode = draft.choose(["constant", "constant", "reflect", "edge"] + ["wrap"] * (draft.opset >= 19))
    named = list(range(value.rank))
    if draft.opset >= 18 and draft.chance(0.4):
        named = draft.random.sample(named, draft.between(1, value.rank))

    def one(axis):
        if mode != "constant" and axis < value.rank - 2 and draft.chance(0.8):
            return 0
        if mode != "wrap" and draft.chance(0.1):
            return -1 if value.shape[axis] > 2 else 0
        return draft.between(0, min(2, value.shape[axis] - 1) if mode in ("reflect", "wrap") else 2)

    pads = [one(axis) for _ in range(2) for axis in named]
    attributes = {} if mode == "constant" and draft.chance(0.5) else {"mode": mode}
    number = draft.choose([-1.5, 0.5, 2.0]) if mode == "constant" and draft.chance(0.5) else None
    if draft.opset < 11:
        attributes |= {"pads": pads} | ({} if number is None else {"value": number})
        draft.node(op, [value], attributes, exact=True)
        return
    inputs = [value, draft.integers(pads)] + ([] if number is None else [draft.scalar(number)])
    if named != list(range(value.rank)):
        inputs += [None] * (3 - len(inputs))
        inputs.append(draft.integers([signed(draft, axis, value.rank) for axis in named]))
    draft.node(op, inputs, attributes, exact=True)


@operator("DepthToSpace")
def depth_to_space(draft, op):
    blocks = [2, 3]
    value = draft.pick(ranks=(4,), where=lambda value: any(value.shape[1] % (b * b) == 0 for b in blocks))
    block = draft.choose([b for b in blocks if value.shape[1] % (b * b) == 0])
    attributes = {"blocksize": block}
    if draft.opset >= 11:
        attributes |= maybe(draft, mode=draft.choose(["DCR", "CRD"]))
    draft.node(op, [value], attributes, exact=True)


@operator("SpaceToDepth")
def space_to_depth(draft, op):
    block = draft.choose([2, 3])
    value = draft.pick(ranks=(4,))
    if any(extent % block for extent in value.shape[2:]):
        value = draft.new("float", value.shape[:2] + [block * draft.between(1, 3) for _ in range(2)])
    draft.node(op, [value], {"blocksize": block}, exact=True)


# Made of shapes.


@operator("Shape", "Size")
def measure(draft, op):
    """The extents as real numbers, multiplied with something."""
    value = draft.pick()
    attributes = {}
    if op == "Shape" and draft.opset >= 15:
        attributes = maybe(draft, start=draft.between(-value.rank, value.rank - 1))
    extents = draft.node(op, [value], attributes)
    real = draft.node("Cast", [extents], {"to": 1}, exact=True)
    if draft.opset >= 7:
        other = draft.pick(where=lambda other: real.rank == 0 or other.shape[-1] in (1, real.shape[0]))
        draft.node(draft.choose(["Add", "Mul", "Sub"]), [other, real], exact=True)


@operator("ConstantOfShape", since=9)
def constant_of_shape(draft, op):
    value = draft.pick()
    shape = draft.integers(draft.broadcast_shape(value.shape) or [1])
    kind, number = draft.choose([(1, 0.5), (1, -2.0), (1, None)])
    attributes = {} if number is None else {"value": helper.make_tensor("value", kind, [1], [number])}
    made = draft.node(op, [shape], attributes, exact=True)
    draft.node(draft.choose(["Add", "Mul", "Max"]), [value, made], exact=True)


@operator("Range", since=11)
def count_up(draft, op):
    value = draft.pick()
    length, kind = value.shape[-1], draft.choose([np.float32, np.int64])
    start, delta = draft.between(-3, 3), draft.choose([1, 2, -1])
    bounds = [np.array(number, kind) for number in (start, start + delta * length, delta)]
    numbers = draft.node(op, [draft.constant(bound) for bound in bounds], exact=True)
    if kind == np.int64:
        numbers = draft.node("Cast", [numbers], {"to": 1}, exact=True)
    draft.node(draft.choose(["Add", "Mul"]), [value, numbers], exact=True)


# Pictures of other sizes.


def scales(draft, value, choices):
    found = [draft.choose([s for s in choices if math.floor(extent * s) >= 1]) for extent in value.shape[2:]]
    return [1.0, 1.0, *found]


# Nearest neighbours are the same in any arithmetic if the scale is a fraction that f32 holds.
EXACT_SCALES = [1.0, 2.0, 2.0, 3.0, 4.0, 1.5, 0.5, 0.75, 2.5]
SCALES = EXACT_SCALES + [0.6, 1.3, 0.4, 2.2]


@operator("Upsample", since=7, until=9)
def upsample(draft, op):
    value = draft.picture()
    mode = draft.choose(["nearest", "linear"])
    factors = scales(draft, value, [1.0, 2.0, 3.0, 1.5])
    check_resize(value, factors, {})
    attributes = {"mode": mode} if mode == "linear" or draft.chance(0.5) else {}
    inputs = [value]
    if draft.opset < 9:
        attributes["scales"] = factors
    else:
        inputs.append(draft.constant(np.array(factors, np.float32)))
    draft.node(op, inputs, attributes, exact=mode == "nearest")


COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize"]


@operator("Resize", since=10)
def resize(draft, op):
    value = draft.picture()
    mode = draft.choose(["nearest", "linear"] + ["cubic"] * (draft.opset >= 11))
    attributes = {"mode": mode} if mode != "nearest" or draft.chance(0.5) else {}
    choices = EXACT_SCALES if mode == "nearest" else SCALES
    factors = scales(draft, value, choices)
    if draft.opset == 10:
        # It does not say which neighbour is the nearest in smaller pictures.
        factors = [max(factor, 1.0) for factor in factors] if mode == "nearest" else factors
        check_resize(value, factors, attributes)
        draft.node(op, [value, draft.constant(np.array(factors, np.float32))], attributes, exact=mode == "nearest")
        return
    attributes |= resize_attributes(draft, mode)
    check_resize(value, factors, attributes)
    inputs = [value, *resize_target(draft, value, factors, attributes)]
    draft.node(op, inputs, attributes, exact=mode == "nearest")


def resize_attributes(draft, mode):
    coordinates = list(COORDINATES)
    coordinates += ["half_pixel_symmetric"] if draft.opset >= 19 else []
    coordinates += ["tf_half_pixel_for_nn"] if draft.opset < 13 else []
    if mode == "nearest":
        # The others divide extents by each other, which rounding may move to either neighbour.
        coordinates = [name for name in coordinates if name not in ("align_corners", "tf_crop_and_resize")]
        modes = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        return maybe(
            draft, coordinate_transformation_mode=draft.choose(coordinates), nearest_mode=draft.choose(modes)
        )
    attributes = maybe(draft, coordinate_transformation_mode=draft.choose(coordinates))
    crops = attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    if draft.opset >= 18 and not crops and draft.chance(0.3):
        attributes["antialias"] = 1
    if mode == "cubic":
        attributes |= maybe(draft, cubic_coeff_a=draft.choose([-0.5, -0.75]), exclude_outside=draft.between(0, 1))
    if crops:
        attributes |= maybe(draft, extrapolation_value=draft.choose([0.5, -1.0]))
    return attributes


def check_resize(value, factors, attributes):
    """Refuses where ONNX Runtime departs from ONNX: it rounds the new length before it places the corners, and takes
    any picture that keeps its lengths, and any axis of scale 1, as it is."""
    lengths = [extent * factor for extent, factor in zip(value.shape, factors)]
    if [math.floor(length) for length in lengths] == value.shape and factors != [1.0] * value.rank:
        raise Refused("the lengths stay")
    kept = [math.floor(length) == extent and length != extent for length, extent in zip(lengths, value.shape)]
    if attributes.get("antialias") and any(kept):
        # ONNX Runtime takes such an axis as it is; ONNX's evaluator does not.
        raise Refused("a length stays")
    coordinates = attributes.get("coordinate_transformation_mode")
    if coordinates in ("align_corners", "tf_crop_and_resize", "half_pixel_symmetric"):
        if any(length != math.floor(length) for length in lengths):
            raise Refused("a length between integers")
    if coordinates in ("tf_crop_and_resize", "tf_half_pixel_for_nn") and 1.0 in factors[2:]:
        raise Refused("an axis of scale 1")


def resize_target(draft, value, factors, attributes):
    """The inputs behind the first: a region, and scales or sizes, of all axes or some."""
    axes = list(range(value.rank))
    if draft.opset >= 18 and draft.chance(0.4):
        axes = draft.choose([axes[2:], axes[:1:-1], axes[1:]])
        attributes["axes"] = [signed(draft, axis, value.rank) for axis in axes]
    region = None
    if attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        starts = [draft.choose([0.0, 0.25, -0.25]) if axis >= 2 else 0.0 for axis in axes]
        ends = [draft.choose([1.0, 0.75, 1.25]) if axis >= 2 else 1.0 for axis in axes]
        region = draft.constant(np.array(starts + ends, np.float32))
    elif draft.opset < 13:
        region = draft.initializer(np.array([], np.float32))
    if draft.chance(0.6):
        return [region, draft.constant(np.array([factors[axis] for axis in axes], np.float32))]
    sizes = [math.floor(value.shape[axis] * factors[axis]) for axis in axes]
    if attributes.get("mode", "nearest") == "nearest" and any(
        size != value.shape[axis] * factors[axis] for size, axis in zip(sizes, axes)
    ):
        raise Refused("the ratio of sizes is no fraction that f32 holds")
    if draft.opset >= 18 and min(axes) >= 2 and draft.chance(0.3) and attributes.get("mode", "nearest") != "nearest":
        attributes["keep_aspect_ratio_policy"] = draft.choose(["stretch", "not_larger", "not_smaller"])
        if "axes" in attributes:
            attributes["axes"] = axes  # ONNX Runtime keeps no ratio for axes from the end.
    none = draft.initializer(np.array([], np.float32)) if draft.opset < 13 else None
    return [region, none, draft.integers(sizes)]
