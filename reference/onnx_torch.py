"""Runs an ONNX graph node by node with PyTorch's functions, so that autograd sees it: the other side of training beside
PyTorch for networks that exist as files only. Opsets 6 to 17 as far as convolutional classifiers use them."""

import numpy
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper


class OnnxModule:
    """A model whose initialisers are tensors by name, in `values`. Statistics of batch normalisations are moved as training
    moves them."""

    def __init__(self, model):
        self.graph = model.graph
        self.values = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in model.graph.initializer}
        self.inputs = [i.name for i in model.graph.input if i.name not in self.values]
        # PyTorch's exporter writes equal tensors once; they are equal, not the same.
        self.nodes = []
        for node in model.graph.node:
            if node.op_type == "Identity" and node.input[0] in self.values:
                self.values[node.output[0]] = self.values[node.input[0]].clone()
            else:
                self.nodes.append(node)

    def scores(self, x):
        """What goes into the last softmax, or without one what is put out."""
        last = self.nodes[-1]
        wanted = last.input[0] if last.op_type == "Softmax" else self.graph.output[0].name
        values = dict(self.values)
        values[self.inputs[0]] = x
        for node in self.nodes:
            if node is last and last.op_type == "Softmax":
                break
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            operands = [values[name] if name else None for name in node.input]
            values[node.output[0]] = OPERATORS[node.op_type](attributes, *operands)
        return values[wanted].flatten(1)


def window(x, attributes):
    """The pads at the beginnings and at the ends of the spatial axes."""
    pads = attributes.get("pads", [0] * (2 * (x.dim() - 2)))
    begins, ends = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    assert attributes.get("auto_pad", b"NOTSET") == b"NOTSET", "auto_pad is not handled"
    return begins, ends


def padded(x, begins, ends, value=0.0):
    amounts = [amount for pair in zip(reversed(begins), reversed(ends)) for amount in pair]
    return F.pad(x, amounts, value=value) if any(amounts) else x


def conv(attributes, x, weight, bias=None):
    x = padded(x, *window(x, attributes))
    names = {"stride": "strides", "dilation": "dilations", "groups": "group"}
    options = {own: attributes[name] for own, name in names.items() if name in attributes}
    return F.conv2d(x, weight, bias, **options)


def batch_norm(attributes, x, scale, bias, mean, var):
    momentum = 1 - attributes.get("momentum", 0.9)
    return F.batch_norm(x, mean, var, scale, bias, True, momentum, attributes.get("epsilon", 1e-5))


def max_pool(attributes, x):
    x = padded(x, *window(x, attributes), value=-torch.inf)
    kernel = attributes["kernel_shape"]
    return F.max_pool2d(x, kernel, attributes.get("strides", [1] * len(kernel)), ceil_mode=bool(attributes.get("ceil_mode", 0)))


def average_pool(attributes, x):
    begins, ends = window(x, attributes)
    assert not any(begins) and not any(ends), "padded means are not handled"
    kernel = attributes["kernel_shape"]
    return F.avg_pool2d(x, kernel, attributes.get("strides", [1] * len(kernel)))


def clip(attributes, x, low=None, high=None):
    return torch.clamp(x, attributes.get("min", low), attributes.get("max", high))


def gemm(attributes, a, b, c=None):
    a = a.T if attributes.get("transA", 0) else a
    b = b.T if attributes.get("transB", 0) else b
    product = attributes.get("alpha", 1.0) * (a @ b)
    return product if c is None else product + attributes.get("beta", 1.0) * c


def reshape(attributes, x, shape):
    shape = [x.shape[axis] if extent == 0 else extent for axis, extent in enumerate(shape.tolist())]
    # A file made for one row names it; here there are more.
    if -1 not in shape and numpy.prod(shape) != x.numel():
        shape[0] = -1
    return x.reshape(shape)


def slice_(attributes, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    index = [slice(None)] * x.dim()
    for axis, start, end, step in zip(axes, starts.tolist(), ends.tolist(), steps):
        index[axis] = slice(start, end, step)
    return x[tuple(index)]


def total(attributes, *terms):
    return sum(terms[1:], terms[0])


OPERATORS = {
    "Add": lambda a, x, y: x + y,
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Div": lambda a, x, y: x / y,
    "Sum": total,
    "Relu": lambda a, x: F.relu(x),
    "Clip": clip,
    "Identity": lambda a, x: x,
    "Dropout": lambda a, x, *rest: x,
    "Conv": conv,
    "BatchNormalization": batch_norm,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True),
    "ReduceMean": lambda a, x: x.mean(a["axes"], keepdim=bool(a.get("keepdims", 1))),
    "Gemm": gemm,
    "MatMul": lambda a, x, y: x @ y,
    "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Reshape": reshape,
    "Transpose": lambda a, x: x.permute(a["perm"]),
    "Constant": lambda a: torch.from_numpy(numpy_helper.to_array(a["value"]).copy()),
    "Shape": lambda a, x: torch.tensor(x.shape),
    "Gather": lambda a, x, index: x.index_select(a.get("axis", 0), index.flatten()).reshape(index.shape),
    "Cast": lambda a, x: x.long(),
    "Slice": slice_,
    "Concat": lambda a, *parts: torch.cat([part.long() for part in parts], a["axis"]),
}
