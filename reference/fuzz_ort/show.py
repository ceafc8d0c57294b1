"""A case as text."""

import numpy as np
from onnx import AttributeProto, helper, numpy_helper

SMALL = 24


def array_text(array):
    array = np.asarray(array)
    numbers = f" = {array.tolist()}" if array.size <= SMALL else ""
    return f"{array.dtype}{list(array.shape)}{numbers}"


def attribute_text(attribute):
    if attribute.type == AttributeProto.TENSOR:
        return f"{attribute.name}={array_text(numpy_helper.to_array(attribute.t))}"
    value = helper.get_attribute_value(attribute)
    return f"{attribute.name}={value.decode() if isinstance(value, bytes) else value}"


def node_text(node):
    attributes = ", ".join(attribute_text(attribute) for attribute in node.attribute)
    return f"  {', '.join(node.output)} = {node.op_type}({', '.join(node.input)}) {{{attributes}}}"


def text(model, inputs, outputs):
    lines = [f"  opset {model.opset_import[0].version}, ir_version {model.ir_version}"]
    lines += [f"  input {name}: {array_text(array)}" for name, array in inputs.items()]
    lines += [f"  {tensor.name}: {array_text(numpy_helper.to_array(tensor))}" for tensor in model.graph.initializer]
    lines += [node_text(node) for node in model.graph.node]
    lines += [f"  expected {name}: {array_text(array)}" for name, array in outputs.items()]
    return "\n".join(lines)
