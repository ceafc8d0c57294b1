"""What PyTorch's f32 convolutions come to where `accuracy layers` measures svertka's: docs/accuracy.md.

    python reference/accuracy.py vgg16.onnx PICTURE...

For every 3x3 convolution of the file that reference/vgg16.py makes: the largest error over the root mean square of the output,
against the same operands in f64; forward, gradient of the input, gradient of the weights. The gradient is that of the mean
cross-entropy with classes 0, 1, 0, ....
"""

import sys

import numpy
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from PIL import Image

OPERATORS = {
    "Sub": lambda x, y: x - y,
    "Add": lambda x, y: x + y,
    "Mul": lambda x, y: x * y,
    "MatMul": lambda x, y: x @ y,
    "Relu": F.relu,
    "MaxPool": lambda x: F.max_pool2d(x, 2),
    "Transpose": lambda x: x.permute(0, 2, 3, 1),
    "Flatten": lambda x: x.flatten(1),
}


def main(file, *pictures):
    graph = onnx.load(file).graph
    values = {value.name: torch.tensor(numpy_helper.to_array(value)) for value in graph.initializer}
    opened = [Image.open(picture).convert("RGB").resize((240, 240), Image.BILINEAR) for picture in pictures]
    images = numpy.stack([numpy.asarray(picture, numpy.float32).transpose(2, 0, 1) for picture in opened])
    values[graph.input[0].name] = torch.from_numpy(images)
    convolutions = []
    for node in graph.node:
        if node.op_type == "Softmax":
            break
        operands = [values[name] for name in node.input]
        if node.op_type == "Conv":
            y = F.conv2d(*operands, padding=1).requires_grad_()
            y.retain_grad()
            convolutions.append((node.name, operands[0].detach(), operands[1], y))
        else:
            y = OPERATORS[node.op_type](*operands)
        values[node.output[0]] = y
    F.cross_entropy(y, torch.arange(len(pictures)) % 2).backward()
    print(f"PyTorch {torch.__version__}\n\n| layer | forward | dx | dw |\n|---|---|---|---|")
    for name, x, weight, y in convolutions:
        exact = passes(x.double(), weight.double(), y.grad.double())
        errors = [largest(a, b) for a, b in zip(passes(x, weight, y.grad), exact)]
        print(f"| {name} | {' | '.join(f'{error:.1e}' for error in errors)} |")


def passes(x, weight, dy):
    return (
        F.conv2d(x, weight, padding=1),
        torch.nn.grad.conv2d_input(x.shape, weight, dy, padding=1),
        torch.nn.grad.conv2d_weight(x, weight.shape, dy, padding=1),
    )


def largest(found, exact):
    return ((found.double() - exact).abs().max() / exact.square().mean().sqrt()).item()


if __name__ == "__main__":
    main(*sys.argv[1:])
