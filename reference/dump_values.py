"""Writes every value that ONNX Runtime computes, for `svertka model compare MODEL OUT`.

    python reference/dump_values.py MODEL.onnx OUT [--on INPUT] [--batch N]

Every output of every node is made an output of the graph, and optimisations are off, so that each value is what its node
computes. OUT gets a file NAME.npy for each of them and for each input. NAME is the value's name as URLs encode it: of all
characters but letters, digits and `_.-~` the bytes are written %XX, so `/conv/Conv_output_0` becomes
%2Fconv%2FConv_output_0.npy. Float types become f4, integers i8.

INPUT is a .npy file, or for several inputs a folder of files NAME.npy. Without it, inputs are drawn from seed 0, normal numbers
or zeros where integers are wanted, with N rows (default 2) where the batch is open; what was drawn lies in OUT, too.
"""

import argparse
from pathlib import Path
from urllib.parse import quote

import numpy as np
import onnx
import onnxruntime

FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(uint8)": np.uint8}
TYPES = FLOATS | INTEGERS


def file_of(folder, name):
    """The file of the value called `name`."""
    return folder / f"{quote(name, safe='')}.npy"


def with_all_outputs(model):
    """The bytes of the model with the outputs of all nodes put out."""
    known = {output.name for output in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known:
                known.add(name)
                model.graph.output.append(onnx.ValueInfoProto(name=name))
    return model.SerializeToString()


def shape_of(entry, batch):
    """Numbers for an input's extents."""
    extents = [batch if axis == 0 and not isinstance(extent, int) else extent for axis, extent in enumerate(entry.shape)]
    if not all(isinstance(extent, int) for extent in extents):
        raise SystemExit(f"the input {entry.name} is {entry.shape}: hand it in with --on")
    return extents


def given(entries, source):
    """What a file or a folder holds for each input."""
    if source.is_dir():
        return {entry.name: np.load(file_of(source, entry.name)) for entry in entries}
    if len(entries) != 1:
        raise SystemExit(f"{len(entries)} inputs: --on has to name a folder of files NAME.npy")
    return {entries[0].name: np.load(source)}


def drawn(entries, batch):
    """Numbers for each input."""
    random = np.random.default_rng(0)
    shapes = {entry.name: shape_of(entry, batch) for entry in entries}
    real = {entry.name for entry in entries if entry.type in FLOATS}
    return {name: random.normal(size=shape) if name in real else np.zeros(shape) for name, shape in shapes.items()}


def save(folder, name, value):
    """Writes a value in a type that svertka reads; sequences and maps are left out."""
    if not isinstance(value, np.ndarray):
        return
    if value.dtype.kind == "f":
        value = value.astype(np.float64 if value.dtype == np.float64 else np.float32)
    elif value.dtype.kind in "iu":
        value = value.astype(np.int64)
    np.save(file_of(folder, name), np.ascontiguousarray(value).reshape(value.shape))


def dump(model, out, source=None, batch=2):
    """Writes the values of the file `model` into the folder `out`; returns how many."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    everything = with_all_outputs(onnx.load(model))
    session = onnxruntime.InferenceSession(everything, options, providers=["CPUExecutionProvider"])
    entries = session.get_inputs()
    inputs = given(entries, source) if source else drawn(entries, batch)
    inputs = {entry.name: inputs[entry.name].astype(TYPES[entry.type]) for entry in entries}
    names = [output.name for output in session.get_outputs()]
    values = inputs | dict(zip(names, session.run(names, inputs)))
    out.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        save(out, name, value)
    return len(values)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--on", type=Path)
    parser.add_argument("--batch", type=int, default=2)
    arguments = parser.parse_args()
    count = dump(arguments.model, arguments.out, arguments.on, arguments.batch)
    print(f"{count} values of {arguments.model} in {arguments.out}, onnxruntime {onnxruntime.__version__}")


if __name__ == "__main__":
    main()
