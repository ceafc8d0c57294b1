"""Names, shapes and counts of torchvision's networks, and of others as networks.py has them, for
crates/zoo/tests/fixtures/torchvision.json.

Run as `python reference/torchvision_names.py`. Multiply-adds are half of what torch.utils.flop_counter counts:
products of convolutions and fully connected layers only, for one picture.
"""

import json
import pathlib

import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

import networks

NETWORKS = ["alexnet", "vgg16", "resnet18", "resnet34", "resnet18_32px", "mobilenet_v2", "unet"]


def describe(name):
    network, shape, _ = networks.build(name)
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *shape))
    state = [entry for entry in network.state_dict().items() if not entry[0].endswith("num_batches_tracked")]
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": counter.get_total_flops() // 2,
        "shapes": [[key, list(value.shape)] for key, value in state],
    }


def dump(fixture):
    """JSON with one parameter per line."""
    text = json.dumps(fixture)
    return text.replace('[["', '[\n["').replace('], ["', '],\n["').replace("}, ", "},\n") + "\n"


if __name__ == "__main__":
    fixture = {"made_with": {"torch": torch.__version__, "torchvision": torchvision.__version__}}
    fixture |= {name: describe(name) for name in NETWORKS}
    folder = pathlib.Path(__file__).parent.parent / "crates/zoo/tests/fixtures"
    (folder / "torchvision.json").write_text(dump(fixture))
