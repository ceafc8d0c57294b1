"""Small networks that were not made by svertka, and what ONNX Runtime makes of pictures with them.

    python reference/foreign.py

Writes crates/tasks/tests/fixtures/foreign: NAME.onnx and expected.json. Preprocessing is done here in numpy, and the files
with a batch of one are run picture by picture.

- pytorch.onnx, exported by PyTorch: a batch of 1 that a Reshape names, batch normalisation, Gemm, no softmax.
- keras.onnx, of the form that tf2onnx writes: [N, H, W, C] behind a Transpose, MatMul + Add, batch normalisation spelled
  Mul + Add, Softmax.
- squeezenet.onnx, of the form of SqueezeNet: a 1x1 convolution, Relu, the mean of each map, Softmax over [N, C, 1, 1].
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

FOLDER = Path(__file__).parent.parent / "crates/tasks/tests/fixtures/foreign"
SIDE, CLASSES = 8, 4


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.fc = nn.Linear(96, CLASSES)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.bn(self.conv(x))), 2)
        return self.fc(x.reshape(1, 96))


def pytorch():
    torch.manual_seed(0)
    model = Small().eval()
    model.bn.running_mean.uniform_(-0.5, 0.5)
    model.bn.running_var.uniform_(0.5, 1.5)
    torch.onnx.export(
        model, torch.zeros(1, 3, SIDE, SIDE), FOLDER / "pytorch.onnx", opset_version=17, dynamo=False,
        input_names=["input"], output_names=["output"],
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )  # fmt: skip


def save(name, nodes, shapes, declared_input, declared_output):
    generator = np.random.default_rng(0)
    values = []
    for value, shape in shapes.items():
        spread = 1 / np.sqrt(max(1, np.prod(shape) / shape[-1]))
        numbers = generator.uniform(-spread, spread, shape).astype(np.float32)
        values.append(numpy_helper.from_array(numbers, value))
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, declared_input)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, declared_output)],
        values,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, FOLDER / f"{name}.onnx")


def keras():
    node = helper.make_node
    nodes = [
        node("Transpose", ["input"], ["first"], perm=[0, 3, 1, 2]),
        node("Conv", ["first", "conv"], ["maps"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Relu", ["maps"], ["relu"]),
        node("MaxPool", ["relu"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Mul", ["pool", "scale"], ["scaled"]),
        node("Add", ["scaled", "offset"], ["norm"]),
        node("Transpose", ["norm"], ["last"], perm=[0, 2, 3, 1]),
        node("Flatten", ["last"], ["flat"]),
        node("MatMul", ["flat", "dense"], ["product"]),
        node("Add", ["product", "bias"], ["scores"]),
        node("Softmax", ["scores"], ["output"]),
    ]
    shapes = {"conv": [6, 3, 3, 3], "scale": [1, 6, 1, 1], "offset": [1, 6, 1, 1], "dense": [96, CLASSES], "bias": [CLASSES]}
    save("keras", nodes, shapes, ["unk__0", SIDE, SIDE, 3], ["unk__1", CLASSES])


def squeezenet():
    node = helper.make_node
    nodes = [
        node("Conv", ["input", "conv", "conv_bias"], ["maps"], kernel_shape=[3, 3], strides=[2, 2]),
        node("Relu", ["maps"], ["relu"]),
        node("Conv", ["relu", "head", "head_bias"], ["classes"], kernel_shape=[1, 1]),
        node("Relu", ["classes"], ["positive"]),
        node("GlobalAveragePool", ["positive"], ["mean"]),
        node("Softmax", ["mean"], ["output"], axis=1),
    ]
    shapes = {"conv": [6, 3, 3, 3], "conv_bias": [6], "head": [CLASSES, 6, 1, 1], "head_bias": [CLASSES]}
    save("squeezenet", nodes, shapes, [1, 3, SIDE, SIDE], [1, CLASSES, 1, 1])


def imagenet(picture):
    return (picture / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])


def caffe(picture):
    return picture[..., ::-1] - np.array([103.939, 116.779, 123.68])


def unit(picture):
    return picture / 127.5 - 1


CASES = {
    "pytorch": ("[{ divide = 255 }, { subtract = [0.485, 0.456, 0.406] }, { divide = [0.229, 0.224, 0.225] }]", imagenet),
    "keras": ('["bgr", { subtract = [103.939, 116.779, 123.68] }]', caffe),
    "squeezenet": ("[{ divide = 127.5 }, { subtract = 1 }]", unit),
}


def probabilities(name, prepare, pictures):
    session = onnxruntime.InferenceSession(FOLDER / f"{name}.onnx", providers=["CPUExecutionProvider"])
    rows = []
    for picture in pictures:
        x = prepare(picture.astype(np.float64)).astype(np.float32)[None]
        x = x if name == "keras" else x.transpose(0, 3, 1, 2)
        row = session.run(None, {"input": np.ascontiguousarray(x)})[0].reshape(-1).astype(np.float64)
        if name == "pytorch":
            row = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        rows.append(row.tolist())
    return rows


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for make in [pytorch, keras, squeezenet]:
        make()
    pictures = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    cases = {
        name: {"preprocess": text, "probabilities": probabilities(name, prepare, pictures)}
        for name, (text, prepare) in CASES.items()
    }
    versions = {"torch": torch.__version__, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    expected = {"versions": versions, "pictures": [picture.flatten().tolist() for picture in pictures], "cases": cases}
    (FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")


main()
