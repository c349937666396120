"""Seconds and peak memory of training the joint m3h networks on the whole training part, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

from comparing.lines import Line, plain
from comparing.models import networks
from comparing.parts import opened
from comparing.session import JOINT, ours, say
from m3h.training.fleet import train


def measure(study: str, work: Path, threads: int) -> None:
    """What the process of its own does: train once and print what it took. No test label is read."""
    torch.set_num_threads(threads)
    data = opened(study, work)
    trials = [trial for one in ours(networks()) if one.role == "joint" for trial in one.trials(data, 0)]
    before = resident_peak()
    began = time.perf_counter()
    failed = [trained.failed for trained in train(data, trials, evaluate=False) if trained.failed]
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "before": before, "peak": resident_peak(), "failed": failed}))


def resident_peak() -> int:
    """The most bytes this process held at once, imported libraries and the data set included."""
    status = Path("/proc/self/status")
    if status.exists():
        # what getrusage says begins with the peak of the process that started this one
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"))
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def cost(study: str, work: Path, threads: int) -> list[Line]:
    """Train in a new process and say what it took."""
    script = Path(__file__).parents[1] / "accuracy.py"
    line = [sys.executable, str(script), "cost", study, "--work", str(work), "--threads", str(threads), "--child"]
    surroundings = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=surroundings)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    took = json.loads(done.stdout.splitlines()[-1])
    if took["failed"]:
        raise SystemExit(f"a network failed: {took['failed'][0]}")
    say(
        f"{JOINT}, whole training part, {threads} threads: {took['seconds']:.0f} s, peak {took['peak'] / 1e9:.2f} GB "
        f"({took['before'] / 1e9:.2f} GB before the training began)"
    )
    return [
        Line("cost", JOINT, "", f"seconds of training, {threads} threads", plain(took["seconds"])),
        Line("cost", JOINT, "", "peak memory of the process, MB", plain(took["peak"] / 1e6)),
    ]
