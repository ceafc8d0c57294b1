"""Training speed beside PyTorch: LeNet-5, batch 128, SGD with momentum and weight decay, alternating in one run.

    cargo build --release -p svertka-engine --example training_speed
    python reference/bench_training.py

Each round runs the same number of steps in svertka, in PyTorch's default layout and in its channels-last one, two threads
each, batch in memory; medians over the rounds and their ratios are printed.
"""
import os
import statistics
import subprocess
import time

import torch
from torch import nn
import torch.nn.functional as F

ROUNDS, STEPS, BATCH, THREADS = 7, 100, 128, 2


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Torch:
    def __init__(self, memory_format):
        self.model = LeNet().to(memory_format=memory_format)
        self.rule = torch.optim.SGD(self.model.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4)
        self.x = torch.rand(BATCH, 1, 28, 28).contiguous(memory_format=memory_format)
        self.y = torch.arange(BATCH) % 10

    def run(self, steps):
        start = time.perf_counter()
        for _ in range(steps):
            self.rule.zero_grad()
            F.cross_entropy(self.model(self.x), self.y).backward()
            self.rule.step()
        return time.perf_counter() - start


class Svertka:
    def __init__(self):
        target = os.environ.get("CARGO_TARGET_DIR", "target")
        program = os.path.join(target, "release/examples/training_speed")
        self.process = subprocess.Popen(
            [program, "lenet5", str(BATCH), str(THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main():
    torch.set_num_threads(THREADS)
    contestants = {
        "svertka": Svertka(),
        "torch eager": Torch(torch.contiguous_format),
        "torch channels-last": Torch(torch.channels_last),
    }
    for contestant in contestants.values():
        contestant.run(10)
    seconds = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, contestant in contestants.items():
            seconds[name].append(contestant.run(STEPS))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"LeNet-5, batch {BATCH}, {THREADS} threads, median of {ROUNDS} rounds of {STEPS} steps; torch {torch.__version__}")
    for name, median in medians.items():
        rate = BATCH * STEPS / median
        epoch = 60000 / rate
        print(f"{name:20} {rate:9.0f} pictures/s  {epoch:6.2f} s per epoch of 60,000  svertka is {median / medians['svertka']:.2f} x")


main()
