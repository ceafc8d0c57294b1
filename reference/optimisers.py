"""Writes crates/kernels/tests/fixtures/optimisers.json: steps of PyTorch's SGD, Adam and AdamW with every option.

Run from the root of the repository: python reference/optimisers.py
"""

import json
import pathlib

import torch

STEPS = 6
SIZE = 11
OUT = pathlib.Path("crates/kernels/tests/fixtures/optimisers.json")

CASES = [
    ("sgd", {"lr": 0.1}),
    ("sgd", {"lr": 0.1, "weight_decay": 0.05}),
    ("sgd", {"lr": 0.1, "momentum": 0.9}),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("sgd", {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.01, "nesterov": True}),
    ("adam", {"lr": 0.01}),
    ("adam", {"lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-3}),
    ("adam", {"lr": 0.01, "weight_decay": 0.1}),
    ("adamw", {"lr": 0.01}),
    ("adamw", {"lr": 0.02, "betas": [0.7, 0.99], "eps": 1e-4, "weight_decay": 0.3}),
]

RULES = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def run(rule, options):
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(SIZE, generator=generator).requires_grad_()
    start = weights.detach().tolist()
    optimiser = RULES[rule]([weights], foreach=False, **options)
    gradients, after = [], []
    for _ in range(STEPS):
        weights.grad = torch.randn(SIZE, generator=generator)
        gradients.append(weights.grad.tolist())
        optimiser.step()
        after.append(weights.detach().tolist())
    return {"rule": rule, "options": options, "start": start, "gradients": gradients, "weights": after}


def main():
    fixture = {
        "source": "reference/optimisers.py",
        "versions": {"torch": torch.__version__},
        "cases": [run(rule, options) for rule, options in CASES],
    }
    OUT.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
