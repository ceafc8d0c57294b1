"""Fetches ONNX's backend tests: the node tests of 1.17, those of 1.6 (older forms), and the light networks.

    python reference/onnx_tests.py target/onnx-tests

writes the folders `1.17`, `1.6` and `light`, each case as `model.onnx` beside `test_data_set_0` with `input_N.pb` and
`output_N.pb`. The light networks come with recorded outputs only: their input is what onnx 1.17's own runner makes, the
numbers from 0 up to 1 in equal steps. Needs pip and the packages of requirements.txt.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

import numpy
import onnx
from onnx import numpy_helper

DATA = "onnx/backend/test/data/"
NEWER = ["onnx==1.17.0"]
OLDER = ["onnx==1.6.0", "--python-version", "3.7", "--platform", "manylinux1_x86_64"]


def fetch(requirement, folder):
    """The data folder of a wheel, unpacked."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    subprocess.run(pip + requirement, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(DATA)])
    return folder / DATA


def copy(data, kinds, target):
    shutil.rmtree(target, ignore_errors=True)
    for kind in kinds:
        shutil.copytree(data / kind, target / kind)


def light_case(model_path, output_path, target):
    model = onnx.load(model_path)
    values = target / "test_data_set_0"
    values.mkdir(parents=True)
    shutil.copy(model_path, target / "model.onnx")
    initialised = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initialised]
    for index, value in enumerate(inputs):
        shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        count = int(numpy.prod(shape))
        numbers = (numpy.arange(count).reshape(shape) / count).astype(numpy.float32)
        tensor = numpy_helper.from_array(numbers, value.name)
        (values / f"input_{index}.pb").write_bytes(tensor.SerializeToString())
    shutil.copy(output_path, values / "output_0.pb")


def main(target):
    with tempfile.TemporaryDirectory() as folder:
        newer, older = pathlib.Path(folder, "newer"), pathlib.Path(folder, "older")
        data = fetch(NEWER, newer)
        copy(data, ["node"], target / "1.17")
        shutil.rmtree(target / "light", ignore_errors=True)
        for model in sorted((data / "light").glob("light_*.onnx")):
            light_case(model, model.with_name(model.stem + "_output_0.pb"), target / "light" / model.stem)
        data = fetch(OLDER, older)
        copy(data, ["node", "pytorch-converted", "pytorch-operator", "simple"], target / "1.6")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
