"""Writes crates/kernels/tests/fixtures/resize.json: what ONNX's Resize makes of small pictures in every mode.

Expected values are those of ONNX's own evaluator in f64; ONNX Runtime has to agree within LARGEST_DIFFERENCE, and alone
speaks for `tf_half_pixel_for_nn`, which the evaluator does not know. Left out is where the two contradict each other:
`align_corners` by scales that lead to no whole size, and cubic `pytorch_half_pixel` to one position.

Run from the root of the repository: python reference/resize.py
"""

import json
import math
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

OUT = pathlib.Path("crates/kernels/tests/fixtures/resize.json")
LARGEST_DIFFERENCE = 1e-3
CHANNELS = 2
rng = np.random.default_rng(19)

UP, DOWN = {"sizes": [7, 9]}, {"sizes": [2, 3]}
SMALL, LARGE = (4, 5), (9, 11)


def cases():
    """Attributes, the picture's size, and what asks for the new size."""
    for coordinates in ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]:
        for mode in ["linear", "cubic"]:
            yield {"mode": mode, "coordinate_transformation_mode": coordinates}, SMALL, UP
            yield {"mode": mode, "coordinate_transformation_mode": coordinates}, LARGE, DOWN
    for coordinates in ["half_pixel", "half_pixel_symmetric", "asymmetric"]:
        for mode in ["linear", "cubic"]:
            attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
            yield attributes, SMALL, {"scales": [1.7, 2.3]}
            yield {**attributes, "antialias": 1}, LARGE, {"scales": [0.4, 0.3]}
    half_pixel = {"coordinate_transformation_mode": "half_pixel"}
    for mode in ["linear", "cubic"]:
        for exclude in [0, 1]:
            attributes = {**half_pixel, "mode": mode, "antialias": 1, "exclude_outside": exclude}
            yield attributes, LARGE, DOWN
            yield attributes, (9, 4), {"sizes": [4, 9]}
    yield {**half_pixel, "mode": "cubic", "exclude_outside": 1}, SMALL, UP
    yield {**half_pixel, "mode": "cubic", "cubic_coeff_a": -0.5}, SMALL, UP
    yield {**half_pixel, "mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1}, LARGE, DOWN
    yield {"mode": "cubic", "coordinate_transformation_mode": "align_corners", "antialias": 1}, LARGE, DOWN
    for nearest in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]:
        for coordinates in ["half_pixel", "asymmetric"]:
            attributes = {"mode": "nearest", "nearest_mode": nearest, "coordinate_transformation_mode": coordinates}
            yield attributes, SMALL, UP
            yield attributes, LARGE, {"scales": [0.55, 0.45]}
        # Operator set 11 asks for a roi even where it has no meaning.
        target = {"scales": [2.5, 1.75], "roi": [0, 0, 1, 1]}
        yield {**attributes, "coordinate_transformation_mode": "tf_half_pixel_for_nn"}, SMALL, target
    crop = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 10.0}
    for mode in ["linear", "cubic"]:
        yield {**crop, "mode": mode}, LARGE, {"sizes": [4, 5], "roi": [0.15, 0.21, 0.7, 0.93]}
        yield {**crop, "mode": mode}, SMALL, {"sizes": [5, 6], "roi": [-0.3, 0.1, 1.2, 1.3]}
        yield {**crop, "mode": mode}, SMALL, {"sizes": [1, 6], "roi": [0.1, 0.9, 0.65, 0.25]}
    yield {**crop, "mode": "nearest", "nearest_mode": "floor"}, LARGE, {"sizes": [4, 5], "roi": [0.15, 0.21, 0.7, 0.93]}
    for policy in ["not_larger", "not_smaller"]:
        yield {**half_pixel, "mode": "linear", "keep_aspect_ratio_policy": policy}, (5, 7), {"sizes": [7, 9]}
        yield {**half_pixel, "mode": "cubic", "keep_aspect_ratio_policy": policy}, (7, 5), {"sizes": [3, 4]}


def model(kind, attributes, shape, target):
    tensors = {
        "roi": (TensorProto.FLOAT, (lambda roi: [0, 0, *roi[:2], 1, 1, *roi[2:]])(target.get("roi", [0, 0, 1, 1]))),
        "scales": (TensorProto.FLOAT, [1, 1, *target.get("scales", [])]),
        "sizes": (TensorProto.INT64, [1, CHANNELS, *target.get("sizes", [])]),
    }
    named = {name: tensor for name, tensor in tensors.items() if name in target}
    inputs = ["x", *(name if name in named else "" for name in tensors)]
    if "keep_aspect_ratio_policy" in attributes:
        # The other axes would keep their size, and with it every axis.
        attributes, named["sizes"] = {**attributes, "axes": [2, 3]}, (TensorProto.INT64, target["sizes"])
    node = helper.make_node("Resize", inputs[:4 if "sizes" in named else 3], ["y"], **attributes)
    constants = [helper.make_tensor(name, type, [len(data)], data) for name, (type, data) in named.items()]
    x, y = helper.make_tensor_value_info("x", kind, shape), helper.make_tensor_value_info("y", kind, None)
    graph = helper.make_graph([node], "resize", [x], [y], constants)
    opset = 11 if attributes["coordinate_transformation_mode"] == "tf_half_pixel_for_nn" else 19
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def runtime(attributes, x, target):
    proto = model(TensorProto.FLOAT, attributes, x.shape, target)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x.astype(np.float32)})[0].astype(np.float64)


def expected(attributes, x, target):
    second = runtime(attributes, x, target)
    if attributes["coordinate_transformation_mode"] == "tf_half_pixel_for_nn":
        return second
    first = ReferenceEvaluator(model(TensorProto.DOUBLE, attributes, x.shape, target)).run(None, {"x": x})[0]
    difference = np.abs(first - second).max()
    assert difference < LARGEST_DIFFERENCE, (attributes, x.shape, target, difference)
    return first


def aspect(attributes, size, target):
    """The one scale of all axes where the aspect ratio is kept."""
    ratios = [new / old for new, old in zip(target["sizes"], size)]
    choose = {"not_larger": min, "not_smaller": max}[attributes["keep_aspect_ratio_policy"]]
    return choose(ratios)


def entry(attributes, size, target):
    x = rng.integers(-99, 100, (1, CHANNELS, *size)).astype(np.float64)
    y = expected(attributes, x, target)
    case = {"attributes": attributes, "input": [CHANNELS, *size], "output": list(y.shape[2:])}
    case.update({name: target[name] for name in ["roi", "scales"] if name in target})
    if "keep_aspect_ratio_policy" in attributes:
        case["scale"] = aspect(attributes, size, target)
        assert list(y.shape[2:]) == [math.floor(case["scale"] * extent + 0.5) for extent in size]
    return {**case, "x": x.astype(int).ravel().tolist(), "y": y.round(5).ravel().tolist()}


def main():
    lines = ",\n".join(json.dumps(entry(*case)) for case in cases())
    versions = json.dumps({"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__})
    OUT.write_text(f'{{"versions": {versions}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
