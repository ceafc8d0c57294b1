"""Training beside PyTorch: loss curves and statistics that the compiling engine has to reproduce.

    python reference/training.py > crates/engine/tests/fixtures/training.json

Needs torch and numpy. Weights and batches come from the same small generator as in crates/engine/tests/pytorch.rs
(a linear congruential one, exact in f32), so that the fixture holds results only.
"""
import json
import platform
import sys

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F


def values(count, seed, scale):
    out = np.empty(count, np.float32)
    state = seed
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = np.float32(scale) * (np.float32(state >> 8) / np.float32(1 << 24) - np.float32(0.5))
    return out


def fill(model):
    """Weights uniform within 1/sqrt(fan_in), in the order of the parameters; vectors of norms as PyTorch starts them."""
    for index, (name, p) in enumerate(model.named_parameters()):
        if "bn" in name or "downsample.1" in name:
            continue
        fan_in = p[0].numel() if p.dim() > 1 else 16
        p.data = torch.from_numpy(values(p.numel(), index + 1, 2 / np.sqrt(np.float32(fan_in)))).view(p.shape)


def batch(step, rows, channels, size):
    images = (values(rows * channels * size * size, 1000 + step, 255.0) + np.float32(127.5)).reshape(rows, channels, size, size)
    labels = torch.tensor([(i * 7 + step) % 10 for i in range(rows)])
    return torch.from_numpy(images), labels


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = (x - 255 * 0.1307) / (255 * 0.3081)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(16)
        self.downsample = nn.Sequential(nn.Conv2d(8, 16, 1, stride=2, bias=False), nn.BatchNorm2d(16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = (x - 255 * 0.5) / (255 * 0.25)
        x = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(x)))
        y = self.bn3(self.conv3(y))
        y = F.relu(y + self.downsample(x))
        return self.fc(y.mean((2, 3)))


def train(model, optimiser, steps, rows, channels, size):
    losses = []
    for step in range(steps):
        images, labels = batch(step % 4, rows, channels, size)
        loss = F.cross_entropy(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def statistics(model):
    return {k: v.tolist() for k, v in model.named_buffers() if "running" in k}


def main():
    torch.manual_seed(0)
    lenet = LeNet()
    fill(lenet)
    lenet_losses = train(lenet, torch.optim.SGD(lenet.parameters(), lr=0.05, momentum=0.9), 50, 32, 1, 28)

    residual = Residual()
    fill(residual)
    rule = torch.optim.SGD(residual.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    residual_losses = train(residual, rule, 20, 8, 3, 16)
    residual_statistics = statistics(residual)

    frozen = Residual()
    fill(frozen)
    frozen.eval()  # every norm by its gathered statistics; no dropout in this network
    frozen_losses = train(frozen, torch.optim.SGD(frozen.parameters(), lr=0.001), 20, 8, 3, 16)

    json.dump(
        {
            "versions": {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()},
            "lenet": {"losses": lenet_losses},
            "residual": {"losses": residual_losses, "statistics": residual_statistics},
            "frozen": {"losses": frozen_losses},
        },
        sys.stdout,
        indent=1,
    )
    print()


main()
