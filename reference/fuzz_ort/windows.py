"""Convolutions, pools and normalisations."""

import numpy as np

from .draft import Refused
from .elementwise import maybe
from .table import operator


def extents(draft, value, highest=3):
    """A kernel that fits a picture."""
    return [draft.between(1, min(highest, extent)) for extent in value.shape[2:]]


def strides(draft, kernel, highest=3):
    return [draft.between(1, highest) for _ in kernel]


def padding(draft, kernel):
    """`pads`, `auto_pad`, or neither. Pads stay below the kernel."""
    way = draft.choose(["none", "pads", "pads", "auto"])
    if way == "pads":
        return {"pads": [draft.between(0, extent - 1) for _ in range(2) for extent in kernel]}
    if way == "auto":
        return {"auto_pad": draft.choose(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])}
    return {}


def reach_of(attributes, kernel):
    """How far the taps of a dilated kernel span."""
    dilations = attributes.get("dilations", [1] * len(kernel))
    return [(extent - 1) * dilation + 1 for extent, dilation in zip(kernel, dilations)]


def steps_of(attributes, kernel):
    return attributes.get("strides", [1] * len(kernel))


def has_same_padding(attributes):
    return attributes.get("auto_pad", "").startswith("SAME")


def check_windows(value, attributes, kernel):
    """Refuses what ONNX Runtime computes in its own way: a window larger than the padded picture, and strides that
    leave elements out although the extent is to be the same, for which it pads by less than nothing."""
    reach, steps = reach_of(attributes, kernel), steps_of(attributes, kernel)
    pads = attributes.get("pads", [0] * 2 * len(kernel))
    for axis, (extent, span, step) in enumerate(zip(value.shape[2:], reach, steps)):
        if has_same_padding(attributes):
            if (-(-extent // step) - 1) * step + span < extent:
                raise Refused("a stride beyond the kernel")
        elif span > extent + pads[axis] + pads[axis + len(kernel)]:
            raise Refused("a kernel larger than the picture")


def groups(draft, channels):
    divisors = [count for count in range(1, channels + 1) if channels % count == 0]
    return 1 if draft.chance(0.6) else draft.choose(divisors)


def weights(draft, shape, scale):
    return draft.constant(draft.normal(shape, scale))


@operator("Conv")
def conv(draft, op):
    value = draft.picture()
    kernel, channels = extents(draft, value), value.shape[1]
    group = groups(draft, channels)
    out = group * draft.between(1, 4)
    shape = [out, channels // group, *kernel]
    inputs = [value, weights(draft, shape, 1 / np.sqrt(np.prod(shape[1:])))]
    if draft.chance(0.6):
        inputs.append(draft.constant(draft.eighths([out], -1, 1)))
    attributes = padding(draft, kernel) | maybe(draft, kernel_shape=kernel, strides=strides(draft, kernel))
    if "auto_pad" not in attributes:
        attributes |= maybe(draft, dilations=[draft.between(1, 2) for _ in kernel])
    if group > 1:
        attributes["group"] = group
    check_windows(value, attributes, kernel)
    draft.node(op, inputs, attributes)


@operator("ConvTranspose")
def conv_transpose(draft, op):
    value = draft.picture()
    kernel, channels = [draft.between(1, 3) for _ in value.shape[2:]], value.shape[1]
    group = groups(draft, channels)
    each = draft.between(1, 3)
    inputs = [value, weights(draft, [channels, each, *kernel], 1 / np.sqrt(channels))]
    if draft.chance(0.6):
        inputs.append(draft.constant(draft.eighths([group * each], -1, 1)))
    attributes = maybe(draft, strides=strides(draft, kernel), kernel_shape=kernel)
    attributes |= maybe(draft, dilations=[draft.between(1, 2) for _ in kernel])
    steps, reach = steps_of(attributes, kernel), reach_of(attributes, kernel)
    attributes |= padding(draft, kernel)
    if draft.chance(0.3):
        attributes["output_padding"] = [draft.between(0, step - 1) for step in steps]
    elif draft.chance(0.2):
        full = [step * (extent - 1) + k for step, extent, k in zip(steps, value.shape[2:], reach)]
        attributes["output_shape"] = [max(1, extent - draft.between(0, 2)) for extent in full]
        attributes.pop("pads", None)
    if has_same_padding(attributes) and any(span < step for span, step in zip(reach, steps)):
        raise Refused("ONNX Runtime makes less than stride times extent")
    if group > 1:
        attributes["group"] = group
    draft.node(op, inputs, attributes)


@operator("MaxPool", "LpPool")
@operator("AveragePool", since=7)
def pool(draft, op):
    value = draft.picture()
    kernel = extents(draft, value)
    attributes = {"kernel_shape": kernel} | padding(draft, kernel) | maybe(draft, strides=strides(draft, kernel))
    dilated = {"MaxPool": 10, "AveragePool": 19, "LpPool": 18}[op]
    if draft.opset >= dilated and "auto_pad" not in attributes and draft.chance(0.3):
        attributes["dilations"] = [draft.between(1, 2) for _ in kernel]
    if draft.opset >= 10 and op != "LpPool" and "auto_pad" not in attributes and draft.chance(0.3):
        attributes["ceil_mode"] = 1
    if op == "AveragePool" and draft.chance(0.4):
        attributes["count_include_pad"] = 1
    if op == "LpPool":
        attributes |= maybe(draft, p=draft.between(1, 3))
    check_windows(value, attributes, kernel)
    draft.node(op, [value], attributes, exact=op == "MaxPool")


@operator("GlobalAveragePool", "GlobalMaxPool")
@operator("GlobalLpPool", until=21)
def global_pool(draft, op):
    attributes = maybe(draft, p=draft.between(1, 3)) if op == "GlobalLpPool" else {}
    draft.node(op, [draft.picture()], attributes, exact=op == "GlobalMaxPool")


@operator("BatchNormalization")
def batch_normalization(draft, op):
    value = draft.pick(ranks=(2, 3, 4))
    channels = value.shape[1]
    arrays = [draft.eighths([channels], 0.5, 2), draft.eighths([channels]), draft.eighths([channels])]
    arrays.append(draft.eighths([channels], 0.25, 3))
    attributes = maybe(draft, epsilon=draft.choose([1e-3, 1e-5, 0.1]), momentum=0.8)
    if draft.opset < 7:
        attributes["is_test"] = 1
    if draft.opset >= 14 and draft.chance(0.3):
        attributes["training_mode"] = 0
    draft.node(op, [value, *(draft.constant(array) for array in arrays)], attributes)


@operator("InstanceNormalization")
def instance_normalization(draft, op):
    value = draft.picture()
    arrays = [draft.eighths([value.shape[1]], 0.5, 2), draft.eighths([value.shape[1]])]
    attributes = maybe(draft, epsilon=draft.choose([1e-3, 1e-2]))
    draft.node(op, [value, *(draft.constant(array) for array in arrays)], attributes)


@operator("LayerNormalization", since=17)
def layer_normalization(draft, op):
    value = draft.pick(ranks=(2, 3, 4))
    attributes = maybe(draft, axis=draft.between(-value.rank, value.rank - 1), epsilon=draft.choose([1e-3, 1e-2]))
    shape = value.shape[attributes.get("axis", -1):]
    arrays = [draft.eighths(shape, 0.5, 2)] + ([draft.eighths(shape)] if draft.chance(0.6) else [])
    draft.node(op, [value, *(draft.constant(array) for array in arrays)], attributes)


# Version 18 of it is withdrawn: the checker refuses it.
@operator("GroupNormalization", since=21)
def group_normalization(draft, op):
    value = draft.picture()
    channels = value.shape[1]
    count = draft.choose([count for count in range(1, channels + 1) if channels % count == 0])
    attributes = {"num_groups": count} | maybe(draft, epsilon=draft.choose([1e-3, 1e-2]))
    inputs = [value, draft.constant(draft.eighths([channels], 0.5, 2)), draft.constant(draft.eighths([channels]))]
    draft.node(op, inputs, attributes)


@operator("MeanVarianceNormalization", since=9)
def mean_variance_normalization(draft, op):
    value = draft.pick(ranks=(4,))
    attributes = maybe(draft, axes=sorted(draft.random.sample(range(4), draft.between(1, 3))))
    axes = tuple(attributes.get("axes", (0, 2, 3)))
    # ONNX Runtime takes the variance as a difference of squares, which cancel each other where it is small.
    if (value.array.var(axes) < 0.1 * value.array.mean(axes) ** 2 + 0.01).any():
        raise Refused("a small variance")
    draft.node(op, [value], attributes)


@operator("LRN")
def local_response_normalization(draft, op):
    value = draft.pick(ranks=(4,))
    attributes = {"size": draft.choose([1, 3, 5])}
    draft.node(op, [value], attributes | maybe(draft, alpha=0.01, beta=0.5, bias=draft.choose([1.0, 2.0])))


@operator("Gemm", since=7)
def gemm(draft, op):
    value = draft.pick(ranks=(2,))
    attributes = maybe(draft, alpha=0.5, beta=draft.choose([0.25, 1.0]), transA=draft.between(0, 1), transB=1)
    inner = value.shape[0 if attributes.get("transA") else 1]
    rows, columns = value.shape[1 if attributes.get("transA") else 0], draft.between(1, 5)
    shape = [columns, inner] if attributes.get("transB") else [inner, columns]
    second = draft.normal(shape, 1 / np.sqrt(inner))
    inputs = [value, draft.constant(second) if draft.chance(0.8) else draft.input(second)]
    if draft.opset < 11 or draft.chance(0.7):
        bias = draft.eighths(draft.choose([[columns], [1, columns], [rows, columns], [rows, 1], [1]]))
        inputs.append(draft.constant(bias) if draft.chance(0.8) else draft.input(bias))
    draft.node(op, inputs, attributes)


@operator("MatMul")
def matmul(draft, op):
    value = draft.pick(ranks=(1, 2, 3, 4))
    inner, columns = value.shape[-1], draft.between(1, 5)
    shape = draft.choose([[inner, columns], [inner], [*draft.broadcast_shape(value.shape[:-2]), inner, columns]])
    second = draft.normal(shape, 1 / np.sqrt(inner))
    pair = [value, draft.constant(second) if draft.chance(0.6) else draft.input(second)]
    if value.rank == 2 and len(shape) == 2 and columns == value.shape[0]:
        draft.random.shuffle(pair)
    draft.node(op, pair)


EQUATIONS = [
    ("ij,jk->ik", (2, 2)), ("ij,kj->ik", (2, 2)), ("ij,jk", (2, 2)), ("bij,bjk->bik", (3, 3)), ("ij->ji", (2,)),
    ("bij,bkj->bik", (3, 3)), ("bhid,bhjd->bhij", (4, 4)), ("ij->i", (2,)), ("ijk->jk", (3,)), ("ij,ij->ij", (2, 2)),
    ("ij,ij->", (2, 2)), ("i,j->ij", (1, 1)), ("i,i->", (1, 1)), ("bij,jk->bik", (3, 2)), ("ijk->kij", (3,)),
    ("ij->", (2,)), ("ij,j->i", (2, 1)), ("bchw->bhwc", (4,)), ("ij,jk->ki", (2, 2)),
]


@operator("Einsum", since=12)
def einsum(draft, op):
    equation, ranks = draft.choose(EQUATIONS)
    first = draft.pick(ranks=ranks[:1])
    inputs, letters = [first], equation.split("->")[0].split(",")
    if len(ranks) == 2:
        sizes = dict(zip(letters[0], first.shape))
        shape = [sizes.get(letter) or draft.between(1, 4) for letter in letters[1]]
        array = draft.normal(shape, 0.5)
        inputs.append(draft.input(array) if draft.chance(0.5) else draft.constant(array))
    draft.node(op, inputs, {"equation": equation.replace(",", ", ") if draft.chance(0.1) else equation})


@operator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", since=12)
def loss(draft, op):
    value = draft.pick(ranks=(2, 3, 4))
    classes = value.shape[1]
    target = draft.input(draft.numbers.integers(0, classes, [value.shape[0], *value.shape[2:]]).astype(np.int64))
    inputs = [value, target]
    if draft.chance(0.4):
        inputs.append(draft.constant(draft.eighths([classes], 0.25, 2)))
    attributes = maybe(draft, reduction=draft.choose(["none", "sum", "mean"]))
    attributes |= {"ignore_index": draft.between(0, classes - 1)} if draft.chance(0.3) else {}
    both = op == "SoftmaxCrossEntropyLoss" and draft.chance(0.3)
    if not (target.array != attributes.get("ignore_index")).any():
        raise Refused("every target is ignored")
    draft.node(op, inputs, attributes, outputs=1 + both)
