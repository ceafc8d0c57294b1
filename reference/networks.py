"""Networks in PyTorch as the zoo has them: torchvision's, and those that it lacks."""

import torch
import torch.nn.functional as F
import torchvision
from torch import nn


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class UNet(nn.Module):
    WIDTHS = [64, 128, 256, 512, 1024]

    def __init__(self, channels=1, classes=2):
        super().__init__()
        wide = self.WIDTHS
        self.down = nn.ModuleList(convolutions(a, b) for a, b in zip([channels, *wide], wide))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * a, a, 2, stride=2) for a in wide[:-1])
        self.join = nn.ModuleList(convolutions(2 * a, a) for a in wide[:-1])
        self.head = nn.Conv2d(wide[0], classes, 1)

    def forward(self, x):
        return self.head(self.level(x, 0))

    def level(self, x, depth):
        skip = self.down[depth](x)
        if depth + 1 == len(self.WIDTHS):
            return skip
        below = self.level(F.max_pool2d(skip, 2), depth + 1)
        return self.join[depth](torch.cat([skip, self.up[depth](below)], 1))


def convolutions(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(inplace=True),
    )


def resnet18_32px(classes=10):
    """ResNet-18 behind a stem that keeps the size of small pictures."""
    network = torchvision.models.resnet18(weights=None, num_classes=classes)
    network.conv1, network.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return network


def build(name):
    """The network, the shape of one picture, and the number of classes."""
    if name == "lenet5":
        return LeNet(), (1, 28, 28), 10
    if name == "unet":
        return UNet(), (1, 256, 256), 2
    if name == "resnet18_32px":
        return resnet18_32px(), (3, 32, 32), 10
    return torchvision.models.get_model(name, weights=None), (3, 224, 224), 1000
