"""Learning rates of PyTorch's schedulers, step by step.

Writes crates/train/tests/fixtures/schedules.json. Run as `python reference/schedules.py`; needs torch.
"""

import json
import pathlib

import torch
from torch.optim import lr_scheduler

STEPS_PER_EPOCH = 7
BASE = 0.1


def warmed(optimiser, length, scheduler):
    """Linear warm-up from 1/length to 1, then the scheduler on the steps that are left."""
    if length == 0:
        return scheduler
    if length == 1:
        rise = lr_scheduler.ConstantLR(optimiser, factor=1.0, total_iters=1)
    else:
        rise = lr_scheduler.LinearLR(optimiser, start_factor=1 / length, total_iters=length - 1)
    return lr_scheduler.SequentialLR(optimiser, [rise, scheduler], milestones=[length])


def rates(case):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    steps, warmup, schedule = case["steps"], case["warmup"], case["schedule"]
    rest = steps - warmup
    if schedule["name"] == "constant":
        scheduler = lr_scheduler.ConstantLR(optimiser, factor=1.0, total_iters=0)
    elif schedule["name"] == "step":
        size = schedule["every"] * STEPS_PER_EPOCH
        scheduler = lr_scheduler.StepLR(optimiser, step_size=size, gamma=schedule["factor"])
    elif schedule["name"] == "cosine":
        scheduler = lr_scheduler.CosineAnnealingLR(optimiser, T_max=rest, eta_min=schedule["to"])
    else:
        options = {name: value for name, value in schedule.items() if name != "name"}
        scheduler = lr_scheduler.OneCycleLR(optimiser, max_lr=BASE, total_steps=rest, cycle_momentum=False, **options)
    scheduler = warmed(optimiser, warmup, scheduler)
    found = []
    for step in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step + 1 < steps:
            scheduler.step()
    return found


def main():
    cases = [
        {"steps": 21, "warmup": 0, "schedule": {"name": "constant"}},
        {"steps": 21, "warmup": 5, "schedule": {"name": "constant"}},
        {"steps": 35, "warmup": 0, "schedule": {"name": "step", "every": 2, "factor": 0.1}},
        {"steps": 35, "warmup": 0, "schedule": {"name": "step", "every": 1, "factor": 0.5}},
        {"steps": 35, "warmup": 7, "schedule": {"name": "step", "every": 1, "factor": 0.5}},
        {"steps": 28, "warmup": 0, "schedule": {"name": "cosine", "to": 0.0}},
        {"steps": 28, "warmup": 0, "schedule": {"name": "cosine", "to": 0.01}},
        {"steps": 28, "warmup": 6, "schedule": {"name": "cosine", "to": 0.001}},
        {"steps": 28, "warmup": 1, "schedule": {"name": "cosine", "to": 0.001}},
        {"steps": 28, "warmup": 0, "schedule": {"name": "one_cycle"}},
        {
            "steps": 40,
            "warmup": 0,
            "schedule": {"name": "one_cycle", "pct_start": 0.1, "div_factor": 10.0, "final_div_factor": 100.0},
        },
        {"steps": 15, "warmup": 0, "schedule": {"name": "one_cycle", "pct_start": 0.0}},
    ]
    for case in cases:
        case["rates"] = rates(case)
    fixture = {"torch": torch.__version__, "base": BASE, "steps_per_epoch": STEPS_PER_EPOCH, "cases": cases}
    path = pathlib.Path(__file__).parent.parent / "crates/train/tests/fixtures/schedules.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fixture).replace('{"steps"', '\n{"steps"') + "\n")


if __name__ == "__main__":
    main()
