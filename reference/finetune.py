r"""Training of networks that were made elsewhere, beside PyTorch.

    cargo build --release -p svertka --example finetune
    python reference/finetune.py target/finetune target/release/examples/finetune \\
        [--only NAME,...] [--vgg16 FILE.onnx] [--mobilenet_v2 FILE.pth]

Every network below gets a new last layer of ten classes from svertka, which draws its weights, and is trained for twenty
steps of SGD with momentum 0.9 by both sides: by svertka from the foreign file, by PyTorch node by node from the same file
(reference/onnx_torch.py), with the last layer's values and the list of what is trained taken from what svertka starts from.
Batch normalisations use the statistics of the batch. Checked is that
- the loss of every step is within 1e-4 of PyTorch's loss of the first step (TOLERANCE),
- the trained file passes onnx.checker's full check,
- ONNX Runtime's scores of the first batch are svertka's, within 1e-5 of the largest (RUNTIME_TOLERANCE).
Prints a line of a table per network; exits with 1 if something does not hold.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
import torchvision
from onnx import numpy_helper
from onnx_torch import OnnxModule

STEPS, CLASSES, MOMENTUM = 20, 10, 0.9
TOLERANCE, RUNTIME_TOLERANCE = 1e-4, 1e-5

IMAGENET = "{ divide = 255 }, { subtract = [0.485, 0.456, 0.406] }, { divide = [0.229, 0.224, 0.225] }"
CAFFE = '"bgr", { subtract = [103.939, 116.779, 123.68] }'


def imagenet(x):
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (x / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)


def caffe(x):
    return x.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)


def export(name, folder, batch, weights=None):
    """A network of torchvision, its batch normalisations neither folded nor in training mode; without weights, they are drawn."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    if weights:
        model.load_state_dict(torch.load(weights, weights_only=True))
    axes = {"input": {0: batch}} if batch else None
    torch.onnx.export(
        model, torch.zeros(1, 3, 224, 224), folder / f"{name}.onnx", opset_version=17, dynamo=False,
        input_names=["input"], output_names=["output"], dynamic_axes=axes,
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )  # fmt: skip
    return folder / f"{name}.onnx"


def light_resnet50(folder):
    """ONNX's test network made by Caffe2, whose weights are constants of one value, with weights drawn as torchvision's."""
    model = onnx.load(Path(onnx.__file__).parent / "backend/test/data/light/light_resnet50.onnx")
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    filled = [node for node in model.graph.node if node.op_type == "ConstantOfShape"]
    generator = np.random.default_rng(0)
    for node in filled:
        shape = shapes[node.input[0]].tolist()
        values = draw(generator, node.output[0], shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    kept = [node for node in model.graph.node if node.op_type != "ConstantOfShape"]
    used = {name for node in kept for name in node.input}
    values = [t for t in model.graph.initializer if t.name in used]
    inputs = [i for i in model.graph.input if i.name in used]
    for field, items in [("node", kept), ("initializer", values), ("input", inputs)]:
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(items)
    known = {i.name for i in inputs}
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in values if t.name not in known
    )
    onnx.save(model, folder / "light_resnet50.onnx")
    return folder / "light_resnet50.onnx"


def draw(generator, name, shape):
    if len(shape) > 1:
        fan_in = np.prod(shape[1:])
        return generator.standard_normal(shape) * np.sqrt(2 / fan_in)
    one = name.endswith(("_s_0", "_riv_0"))
    return np.full(shape, 1.0 if one else 0.0)


# Name: how the file is made, rows of a batch, size, rate, what svertka is told of pictures, what is done to them here.
NETWORKS = {
    "resnet18": (lambda folder, _: export("resnet18", folder, None), 16, 224, 1e-4, IMAGENET, imagenet),
    "mobilenet_v2": (lambda folder, o: export("mobilenet_v2", folder, "batch", o.mobilenet_v2), 32, 224, 1e-4, IMAGENET, imagenet),
    "vgg16": (lambda _, options: options.vgg16, 4, 240, 1e-7, CAFFE, caffe),
    "light_resnet50": (lambda folder, _: light_resnet50(folder), 16, 224, 1e-4, CAFFE, caffe),
}


def batches(rows, size):
    """Pictures of white noise, and classes drawn at random.

    Smooth pictures would not do. With random weights and normalisation by the batch, channels that answer to detail then have
    next to no variance, and what rounding does to them is made as large as the rest: PyTorch itself departs from its own losses
    by 6e-3 of the first within 20 steps if the weights are moved by 1e-7 of their size. With noise it stays below 1e-6.
    """
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, CLASSES, (STEPS * rows,), generator=generator)
    noise = 255 * torch.rand(STEPS * rows, 3, size, size, generator=generator)
    return noise.round(), labels


def roles(model):
    """Names of the weights, as svertka notes them."""
    text = next(entry.value for entry in model.metadata_props if entry.key == "svertka.roles")
    lines = (line.split("\t") for line in text.split("\n"))
    return [name for role, name in lines if role == "weight"]


def train(foreign, start, images, labels, rate, prepare, last):
    """The losses of the foreign file in PyTorch, with the values that differ in what svertka starts from."""
    module = OnnxModule(foreign)
    for tensor in start.graph.initializer:
        value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        if tensor.name in module.values and module.values[tensor.name].shape != value.shape:
            module.values[tensor.name] = value
    names = [name for name in roles(start) if name in module.values]
    weights = [module.values[name].requires_grad_() for name in names]
    rule = torch.optim.SGD(weights, lr=rate, momentum=MOMENTUM)
    losses = []
    for x, y in zip(images.chunk(STEPS), labels.chunk(STEPS)):
        x = prepare(x)
        loss = F.cross_entropy(module.scores(x.permute(0, 2, 3, 1) if last else x), y)
        rule.zero_grad()
        loss.backward()
        rule.step()
        losses.append(loss.item())
    return losses, sum(weight.numel() for weight in weights)


def runtime_error(folder, images):
    """The largest difference of ONNX Runtime's scores from svertka's, over the largest score."""
    onnx.checker.check_model(str(folder / "trained.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(folder / "trained.onnx"), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": images.numpy()})
    own = np.fromfile(folder / "logits.f32", np.float32).reshape(logits.shape)
    return np.abs(own - logits).max() / np.abs(logits).max()


def compare(name, folder, options):
    make, rows, size, rate, steps, prepare = NETWORKS[name]
    folder = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    file = make(folder, options)
    foreign = onnx.load(file)
    images, labels = batches(rows, size)
    images.numpy().astype("<f4").tofile(folder / "images.f32")
    labels.numpy().astype("<i8").tofile(folder / "labels.i64")
    text = f"[{{ resize = [{size}, {size}] }}, {steps}]"
    command = [options.binary, str(file), str(folder), text, str(CLASSES), str(rate)]
    own = [float(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
    start = onnx.load(folder / "start.onnx")
    last = foreign.graph.input[0].type.tensor_type.shape.dim[-1].dim_value == 3
    losses, trained = train(foreign, start, images, labels, rate, prepare, last)
    if options.steps:
        print(*(f"step {i + 1}: {a:.6f} here, {b:.6f} in PyTorch" for i, (a, b) in enumerate(zip(own, losses))), sep="\n")
    worst = max(abs(a - b) for a, b in zip(own, losses, strict=True)) / losses[0]
    runtime = runtime_error(folder, images[:rows])
    print(
        f"| {name} | {foreign.producer_name} {foreign.producer_version}, opset {foreign.opset_import[0].version} | {trained:,} "
        f"| {rows} x {size} px | {rate} | {losses[0]:.4f} → {losses[-1]:.4f} | {worst:.1e} | {runtime:.1e} |",
        flush=True,
    )
    return worst <= TOLERANCE and runtime <= RUNTIME_TOLERANCE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("binary")
    parser.add_argument("--only", default="", help="networks, with commas between; all")
    parser.add_argument("--vgg16", default="", help="the Keras-made file; without it, vgg16 is left out")
    parser.add_argument("--mobilenet_v2", default="", help="torchvision's ImageNet weights; without them, mobilenet_v2 is left out")
    parser.add_argument("--steps", action="store_true", help="print the losses of every step")
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if name] or [n for n in NETWORKS if getattr(options, n, True)]
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
    print("| network | made by | trained numbers | batch | rate | loss, step 1 → 20 | largest difference / first loss | ONNX Runtime |")
    print("|---|---|---|---|---|---|---|---|")
    held = [compare(name, options.folder, options) for name in names]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
