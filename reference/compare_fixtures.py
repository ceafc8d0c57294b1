"""The network and the values that crates/svertka/tests/compare.rs reads.

    python reference/compare_fixtures.py crates/svertka/tests/fixtures/compare

Writes network.onnx, built with onnx.helper and named as PyTorch names values, and values/NAME.npy, what ONNX Runtime computes
from an input drawn from seed 0 (dump_values.py). Made with the versions of requirements.txt.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dump_values import dump


def network():
    """Two convolutions, one of them with a normalisation behind it, and a head."""
    random = np.random.default_rng(1)
    shapes = {
        "conv1.weight": (4, 2, 3, 3),
        "conv1.bias": (4,),
        "conv2.weight": (3, 4, 3, 3),
        "norm.scale": (3,),
        "norm.bias": (3,),
        "norm.mean": (3,),
        "head.weight": (5, 3),
        "head.bias": (5,),
    }
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    weights["norm.var"] = random.uniform(0.5, 2, size=3).astype(np.float32)
    norm = ["norm.scale", "norm.bias", "norm.mean", "norm.var"]
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["/conv1/Conv_output_0"], "/conv1/Conv"),
        helper.make_node("Relu", ["/conv1/Conv_output_0"], ["/Relu_output_0"], "/Relu"),
        helper.make_node("Conv", ["/Relu_output_0", "conv2.weight"], ["/conv2/Conv_output_0"], "/conv2/Conv"),
        helper.make_node("BatchNormalization", ["/conv2/Conv_output_0", *norm], ["/norm_output_0"], "/norm"),
        helper.make_node("GlobalAveragePool", ["/norm_output_0"], ["/pool_output_0"], "/pool"),
        helper.make_node("Flatten", ["/pool_output_0"], ["/Flatten_output_0"], "/Flatten"),
        helper.make_node("Gemm", ["/Flatten_output_0", "head.weight", "head.bias"], ["logits"], "/head", transB=1),
    ]
    return helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 2, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(network(), opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "network.onnx")
    dump(folder / "network.onnx", folder / "values")


if __name__ == "__main__":
    main()
