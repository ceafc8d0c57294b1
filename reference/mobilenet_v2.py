"""torchvision's MobileNetV2 with its ImageNet weights as an ONNX file, as anyone would export it for training.

    python reference/mobilenet_v2.py mobilenet_v2-b0353104.pth mobilenet_v2.onnx [SIZE]

Batch normalisations stay nodes of their own (the exporter folds them by default). Pictures are SIZE x SIZE (96).
"""

import sys

import torch
import torchvision


def main(weights, target, size="96"):
    model = torchvision.models.mobilenet_v2(weights=None)
    model.load_state_dict(torch.load(weights, weights_only=True))
    torch.onnx.export(
        model.eval(), torch.zeros(1, 3, int(size), int(size)), target, opset_version=17, dynamo=False,
        input_names=["input"], output_names=["output"], dynamic_axes={"input": {0: "batch"}},
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
