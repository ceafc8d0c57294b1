"""Training speed of svertka beside PyTorch, alternating in one run.

    make bench [CASES=train-lenet5-b128,train-unet-b2] [ROUNDS=9] [PYTHON=python]
    make bench-all                 # with Burn, on LeNet-5 and ResNet-18

A step is forward, cross-entropy, backward and SGD with momentum 0.9 and weight decay 1e-4; all parameters are trainable,
statistics move, everything is f32, the batch is in memory. Every contestant is a process of its own, which answers a line
with a number of steps by the seconds they took. Only one works at a time, on two threads, and all take turns in every
round; between the rounds the machine's peak of fused multiply-adds is measured. A whole run writes
benchmarks/record/DATE-machine.{csv,md}; one that is restricted to some cases writes to target/bench/.
"""
import argparse
import csv
import datetime
import json
import math
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
THREADS = 2
WARM_UP = 2
# What a contestant's turn takes, about; a single step at least.
TURN_SECONDS = 2.0
# What the trial of a contestant takes at least, from which the better layout is taken.
TRIAL_SECONDS = 0.5
# Threads of PyTorch wait actively for a moment after they have worked.
PAUSE_SECONDS = 0.3

# Network, batch, and what the case is for.
CASES = {
    "train-lenet5-b128": ("lenet5", 128, "A small network on 28 px: what every operator costs beside its arithmetic."),
    "train-resnet18-b16": ("resnet18", 16, "The usual residual network at 224 px: 3x3 convolutions and batch norm."),
    "train-vgg16-b4": ("vgg16", 4, "Wide 3x3 convolutions on large maps, and 124 million weights that are fully connected."),
    "train-alexnet-b32": ("alexnet", 32, "Large kernels and strides, and matrix products that are ruled by their weights."),
    "train-unet-b2": ("unet", 2, "Segmentation at 256 px: large activations, skips, transposed convolutions, no batch norm."),
    "train-mobilenet_v2-b16": ("mobilenet_v2", 16, "Depthwise and 1x1 convolutions: bandwidth rather than arithmetic."),
}
KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "999999999999"}
LAYOUTS = {"torch-eager": "NCHW", "torch-channels-last": "channels-last"}
BURN = "0.22.1"
COLUMNS = ["case", "contestant", "version", "median_s", "best_s", "rate", "peak_mb", "ratio"]


class Contestant:
    """A process that answers lines by JSON."""

    def __init__(self, command, layout="", environment=()):
        self.layout, self.version, self.peak_mb, self.seconds = layout, "", None, []
        environment = os.environ | dict(environment)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)

    def ask(self, line):
        time.sleep(PAUSE_SECONDS)
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args} ended with status {self.process.wait()}")
        return json.loads(answer)

    def step(self, count=1):
        """Seconds of one step, the mean of `count`."""
        answer = self.ask(count)
        self.version = answer.get("version", self.version)
        self.peak_mb = answer["peak_mb"]
        return answer["seconds"] / count

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def svertka_program():
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return str(pathlib.Path(target) / "release/svertka")


def svertka(network, batch):
    words = f"bench {network} --train --batch {batch} --threads {THREADS} --interactive"
    contestant = Contestant([svertka_program(), *words.split()])
    contestant.version = version([svertka_program(), "--version"]).split()[-1]
    return contestant


def torch_process(network, batch, layout, compiled=False, environment=()):
    command = [sys.executable, __file__, "--worker", network, str(batch), layout]
    return Contestant(command + ["--compile"] * compiled, layout, environment)


def burn(network, batch):
    program = str(ROOT / "benchmarks/burn/target/release/burn-training")
    contestant = Contestant([program, network, str(batch), str(THREADS)])
    contestant.version = BURN
    return contestant


def start(network, batch, with_burn):
    """All contestants, warmed up, by name; the last two in PyTorch's faster layout."""
    contestants = {"svertka": svertka(network, batch)}
    for name, layout in LAYOUTS.items():
        contestants[name] = torch_process(network, batch, layout)
    trial = {name: warm_up(contestant) for name, contestant in contestants.items()}
    layout = LAYOUTS[min(LAYOUTS, key=trial.get)]
    contestants["torch-compile"] = torch_process(network, batch, layout, compiled=True)
    contestants["torch-keep"] = torch_process(network, batch, layout, environment=KEEP)
    if with_burn and network in ("lenet5", "resnet18"):
        contestants["burn-flex"] = burn(network, batch)
    for name in [name for name in contestants if name not in trial]:
        try:
            trial[name] = warm_up(contestants[name])
        except RuntimeError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            del contestants[name]
    return contestants, max(trial.values())


def warm_up(contestant):
    """Seconds of a step behind those that do not count."""
    for _ in range(WARM_UP):
        contestant.step()
    seconds = contestant.step()
    return seconds if seconds > TRIAL_SECONDS else contestant.step(math.ceil(TRIAL_SECONDS / seconds))


def run_case(name, rounds, with_burn):
    network, batch, _ = CASES[name]
    print(f"{name}: starting", file=sys.stderr, flush=True)
    contestants, slowest = start(network, batch, with_burn)
    steps = math.ceil(TURN_SECONDS / slowest)
    probe = lambda: contestants["svertka"].ask("probe")["gflops"]
    probes = [probe()]
    for number in range(rounds):
        for contestant in contestants.values():
            contestant.seconds.append(contestant.step(steps))
        probes.append(probe())
        medians = {name: f"{batch / statistics.median(c.seconds):.4g}" for name, c in contestants.items()}
        print(f"{name}: round {number + 1} of {rounds}, pictures/s {medians}", file=sys.stderr, flush=True)
    for contestant in contestants.values():
        contestant.end()
    return {"rows": rows(name, batch, contestants), "steps": steps, "probes": probes}


def rows(case, batch, contestants):
    medians = {name: statistics.median(contestant.seconds) for name, contestant in contestants.items()}
    return [
        {
            "case": case,
            "contestant": name,
            "version": contestant.version,
            "median_s": f"{medians[name]:.6f}",
            "best_s": f"{min(contestant.seconds):.6f}",
            "rate": f"{batch / medians[name]:.2f}",
            "peak_mb": f"{contestant.peak_mb:.0f}",
            "ratio": f"{medians[name] / medians['svertka']:.3f}",
            "layout": contestant.layout,
        }
        for name, contestant in contestants.items()
    ]


def report(results, rounds, facts):
    """The record as Markdown: every contestant in the same table."""
    lines = [f"# Training, {facts['date']}, {facts['processor']}", "", *method(rounds), ""]
    lines += table(["what", "version"], [[key, value] for key, value in facts.items()])
    for case, result in results.items():
        probes = result["probes"]
        lines += [f"## {case}", "", CASES[case][2], ""]
        lines += table(
            ["contestant", "layout", "step, ms (median)", "(best)", "pictures/s", "peak memory, MB", "svertka is"],
            [
                [
                    row["contestant"], row["layout"] or "its own", f"{1e3 * float(row['median_s']):.2f}",
                    f"{1e3 * float(row['best_s']):.2f}", row["rate"], row["peak_mb"], f"{float(row['ratio']):.2f} x",
                ]
                for row in result["rows"]
            ],
        )
        lines += [
            f"{rounds} rounds of {result['steps']} steps; peak of fused multiply-adds between them, GFLOP/s: "
            f"{', '.join(f'{probe:.0f}' for probe in probes)}.", "",
        ]
    return "\n".join(lines)


def method(rounds):
    return [
        "A step is forward, cross-entropy, backward and SGD with momentum 0.9 and weight decay 1e-4; all parameters are",
        "trainable, statistics move, f32, the batch is in memory. Contestants are processes that take turns, one at a time,",
        f"on {THREADS} threads each; {WARM_UP} steps and a trial before the first that counts, the median of {rounds} rounds.",
        "Networks are torchvision's, in training mode (dropout included); LeNet-5 and U-Net are in `reference/networks.py`.",
        "`torch-compile` and `torch-keep` (an allocator that keeps memory: `MALLOC_MMAP_MAX_=0",
        "MALLOC_TRIM_THRESHOLD_=999999999999`) use the layout in which eager PyTorch was faster. Peak memory is that of the",
        "process, with Python and its libraries where there are some. Written by `make bench`.",
    ]


def table(head, cells):
    rule = "|" + "---|" * len(head)
    return [f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in cells), ""]


def facts_of(results):
    versions = {row["contestant"]: row["version"] for result in results.values() for row in result["rows"]}
    commit = version(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": platform.platform(),
        "svertka": f"{versions['svertka']} ({commit})",
        "PyTorch": versions["torch-eager"],
        "Python": platform.python_version(),
        "compiler of torch.compile": version(["c++", "--version"]),
    }


def version(command):
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return (answer.stdout.splitlines() or ["unknown"])[0]


def processor():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = [re.search(rf"{field}\s*: (.*)", text) for field in ("model name", "cpu family", "model")]
    if not all(found):
        return platform.machine()
    name, family, model = (match.group(1) for match in found)
    return f"{name} (family {family}, model {model})"


def write(results, rounds, folder):
    facts = facts_of(results)
    slug = re.sub(r"[^a-z0-9]+", "-", facts["processor"].lower()).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{facts['date']}-{slug}"
    with open(f"{path}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for result in results.values() for row in result["rows"])
    pathlib.Path(f"{path}.md").write_text(report(results, rounds, facts))
    print(report(results, rounds, facts))
    print(f"written to {path}.csv and .md", file=sys.stderr)


def worker(network, batch, layout, compiled):
    """A contestant: answers numbers of steps by seconds until its input ends."""
    import torch
    import torch.nn.functional as F

    import networks

    torch.set_num_threads(THREADS)
    memory_format = torch.channels_last if layout == "channels-last" else torch.contiguous_format
    model, shape, classes = networks.build(network)
    model = model.train().to(memory_format=memory_format)
    images = torch.rand(batch, *shape).contiguous(memory_format=memory_format)
    extents = [batch, *shape[1:]] if network == "unet" else [batch]
    labels = (torch.arange(math.prod(extents)) % classes).reshape(extents)
    rule = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4)
    scores = torch.compile(model) if compiled else model
    for line in sys.stdin:
        begin = time.perf_counter()
        for _ in range(int(line)):
            rule.zero_grad()
            F.cross_entropy(scores(images), labels).backward()
            rule.step()
        seconds = time.perf_counter() - begin
        answer = {"seconds": seconds, "peak_mb": peak_mb(), "version": torch.__version__}
        print(json.dumps(answer), flush=True)


def peak_mb():
    """The most memory that this process has held."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) * 1024 / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="", help="names, separated by commas; default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--burn", action="store_true", help="add Burn (see benchmarks/burn)")
    parser.add_argument("--worker", nargs=3, metavar=("NETWORK", "BATCH", "LAYOUT"), help=argparse.SUPPRESS)
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.worker:
        network, batch, layout = told.worker
        return worker(network, int(batch), layout, told.compile)
    names = [name for name in told.cases.split(",") if name] or list(CASES)
    unknown = set(names) - CASES.keys()
    if unknown or told.rounds < 1:
        parser.error(f"cases are {', '.join(CASES)}; rounds are 1 or more")
    results = {name: run_case(name, told.rounds, told.burn) for name in names}
    whole = names == list(CASES) and told.rounds >= 5
    write(results, told.rounds, ROOT / ("benchmarks/record" if whole else "target/bench"))


if __name__ == "__main__":
    main()
