"""Checks a folder of ONNX files that svertka wrote against the real thing.

    cargo run -p svertka-graph --example onnx_cases -- FOLDER
    python reference/onnx_check.py FOLDER

Every FOLDER/CASE.onnx
- passes onnx.checker with full, strict shape inference;
- declares for each value the type and shape that onnx infers once the declarations are taken out (the inputs' symbols get
  numbers first, so that every shape is a number);
- runs in ONNX Runtime, and its outputs have the declared shapes.
If CASE.inputs/NAME.npy exist, they are fed; else inputs are drawn from a fixed seed. If CASE.outputs/NAME.npy exist,
ONNX Runtime's outputs lie within 1e-5 of the largest element of them (TOLERANCE).
Prints the versions, one line per failure, and a count; exits with 1 if something failed.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import shape_inference

TOLERANCE = 1e-5
SYMBOLS = {"N": 2, "H": 37, "W": 41}


def with_numbers(model):
    """The model with numbers for the inputs' symbols and nothing declared of other values."""
    concrete = onnx.ModelProto()
    concrete.CopyFrom(model)
    for value in concrete.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = SYMBOLS[dim.dim_param]
    del concrete.graph.value_info[:]
    for value in concrete.graph.output:
        value.type.tensor_type.ClearField("shape")
    return concrete


def types(graph):
    """Element type and dimensions of every declared value; symbols as text, unknown as None."""
    found = {}
    for value in [*graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        dims = [d.dim_param or (d.dim_value if d.HasField("dim_value") else None) for d in tensor.shape.dim]
        found[value.name] = (tensor.elem_type, dims if tensor.HasField("shape") else None)
    return found


def check_shapes(model):
    """Yields what svertka declares otherwise than onnx infers."""
    inferred = types(shape_inference.infer_shapes(with_numbers(model), True, True, True).graph)
    for name, (kind, dims) in types(model.graph).items():
        other_kind, other_dims = inferred.get(name, (None, None))
        if other_dims is None:
            yield f"onnx infers no shape for `{name}`, svertka says {dims}"
        elif kind != other_kind or len(dims) != len(other_dims):
            yield f"`{name}` is {kind} {dims} here, {other_kind} {other_dims} in onnx"
        elif any(isinstance(a, int) and a != b for a, b in zip(dims, other_dims)):
            yield f"`{name}` is {dims} here, {other_dims} in onnx"


def stored(folder, name):
    path = folder / f"{name}.npy"
    return np.load(path) if path.exists() else None


def make_inputs(graph, folder):
    generator = np.random.default_rng(1)
    inputs = {}
    for value in graph.input:
        tensor = value.type.tensor_type
        shape = [SYMBOLS[d.dim_param] if d.dim_param else d.dim_value for d in tensor.shape.dim]
        values = stored(folder, value.name)
        if values is None and tensor.elem_type == onnx.TensorProto.INT64:
            values = generator.integers(0, 3, shape)
        elif values is None:
            values = generator.standard_normal(shape, np.float32)
        inputs[value.name] = values
    return inputs


def check_run(path, model):
    """Yields what ONNX Runtime computes otherwise than is declared or stored."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, make_inputs(model.graph, path.with_suffix(".inputs")))
    for declared, found in zip(model.graph.output, outputs):
        dims = types(model.graph)[declared.name][1]
        if len(dims) != found.ndim or any(isinstance(d, int) and d != f for d, f in zip(dims, found.shape)):
            yield f"output `{declared.name}` is declared as {dims}, ONNX Runtime makes {list(found.shape)}"
        expected = stored(path.with_suffix(".outputs"), declared.name)
        if expected is None:
            continue
        if expected.shape != found.shape:
            yield f"output `{declared.name}` is {list(expected.shape)} here, {list(found.shape)} in ONNX Runtime"
            continue
        difference = np.abs(expected - found).max(initial=0)
        largest = np.abs(expected).max(initial=0)
        if not difference <= TOLERANCE * largest:
            yield f"output `{declared.name}` differs by {difference:.3g}, its largest element is {largest:.3g}"


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    yield from check_shapes(model)
    yield from check_run(path, model)


def main(folder):
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, numpy {np.__version__}")
    paths = sorted(Path(folder).glob("*.onnx"))
    failures, compared = 0, 0
    for path in paths:
        compared += path.with_suffix(".outputs").exists()
        try:
            problems = list(check(path))
        except Exception as error:  # whatever onnx or ONNX Runtime says against the file
            problems = [f"{type(error).__name__}: {error}"]
        for problem in problems:
            print(f"{path.name}: {problem}")
        failures += bool(problems)
    print(f"{len(paths)} files, {compared} with stored outputs, {failures} failed")
    return 1 if failures or not paths else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
