"""How fast fleets train, beside one plain PyTorch model after another.

python benchmarks/fleet_speed.py speed       members, sizes, updates and precisions -> fleet_speed.csv
python benchmarks/fleet_speed.py growth      how cost grows with rows, width, members -> fleet_speed_growth.csv
python benchmarks/fleet_speed.py agreement   the same scores as the plain model's   -> fleet_speed_agreement.csv

in docs/results.

The plain model is the one of $SHARED/spec/reference_loop.py (default: ../shared beside the checkout); without it the
opponent's rows are left out, and said so. All contenders of a table row go round by round in one process, with the
machine's float32 peak (a product of 2,048 x 2,048 matrices) measured in every round; medians are given. A step is one
batch of 256 rows through all its losses. Members are cut into fleets, and these go on several threads, as in training.
"needed" arithmetic is what m3h.training.cost.member_flops counts. With --device cuda the table is
fleet_speed_cuda.csv; without a card it is written with empty cells.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from fleet_data import ICU, PAPER, study
from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, Protocol
from m3h.training.at_once import workers
from m3h.training.batches import batches, order_generator
from m3h.training.cost import member_flops
from m3h.training.fleet import FleetTraining, train
from m3h.training.forming import form_fleets, trial_shape
from m3h.training.prepared import Materials
from m3h.training.trial import Trial, make_trial

HERE = Path(__file__).parents[1]
MEMBERS = {"cpu": (1, 4, 16), "cuda": (1, 4, 16, 64, 256)}
#: How many networks are trained where the table shows how cost grows with them.
MANY = (1, 4, 16, 64, 256)
BATCH = 256
#: Rounds of more than 16 members, each of which is that many steps.
LARGE_ROUNDS = 3
HEAD = [
    "size", "tasks", "update", "precision", "threads", "who", "members", "ms per member and step", "needed GFLOP/s",
    "share of float32 peak", "times the opponent",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One network of the table: name, widths of the sources, number of tasks (-2: a binary one and a clustering)."""

    name: str
    widths: tuple[int, ...]
    tasks: int
    update: str

    def names(self, data: Dataset) -> list[tuple[str, ...]]:
        """Task sets, enough for any fleet: of binary tasks, as most pairs of 44 tasks are."""
        names = list(data.labels)
        if self.tasks == -2:
            return [(name, names[-1]) for name in names[:-3]]
        return list(itertools.islice(itertools.combinations(names[:-3], self.tasks), max(MANY)))


CASES = (
    Case("paper", PAPER, 2, "sequential"),
    Case("paper", PAPER, 2, "joint"),
    Case("icu2012", ICU, 2, "sequential"),
    Case("icu2012", ICU, 2, "joint"),
    Case("paper", PAPER, -2, "sequential"),
    Case("paper", PAPER, 41, "joint"),
    Case("icu2012", ICU, 20, "joint"),
)


def reference() -> ModuleType | None:
    """The opponent's module."""
    file = Path(os.environ.get("SHARED", HERE.parent / "shared")) / "spec" / "reference_loop.py"
    if not file.is_file():
        print("the opponent's reference_loop.py is not here: set SHARED to the folder above its spec folder")
        return None
    spec = importlib.util.spec_from_file_location("reference_loop", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trials(data: Dataset, case: Case, count: int, precision: str, device: str, epochs: int = 1) -> list[Trial]:
    sets = case.names(data)
    protocol = Protocol(epochs=epochs, batch_sizes=(BATCH,), update=case.update)  # type: ignore[arg-type]
    return [
        make_trial(
            data,
            sets[number % len(sets)],
            preset=PRESETS["paper"],
            protocol=protocol,
            learning_rate=3e-4 if number < len(sets) else 3e-4 + 1e-6 * number,
            device=device,  # type: ignore[arg-type]
            precision=precision,  # type: ignore[arg-type]
        )
        for number in range(count)
    ]


def settled(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(work: Callable[[], object], device: str) -> float:
    settled(device)
    begin = time.perf_counter()
    work()
    settled(device)
    return time.perf_counter() - begin


class Peak:
    """The machine's float32 matrix product; the card's as it is used, without TF32."""

    def __init__(self, device: str) -> None:
        n = 2048 if device == "cpu" else 8192
        self.a, self.b, self.flops = torch.randn(n, n, device=device), torch.randn(n, n, device=device), 2 * n**3
        self.device = device
        self.seen: list[float] = []

    def measure(self) -> None:
        self.seen.append(self.flops / seconds(lambda: self.a @ self.b, self.device))


def opponent(module: ModuleType, case: Case, values: Sequence[Tensor], device: str) -> Callable[[np.ndarray], object]:
    """One step of the plain model on a batch."""
    torch.manual_seed(0)
    with torch.device(device):
        model = module.Reference(case.widths, case.tasks)
    optimiser = torch.optim.Adam(model.parameters(), 3e-4, fused=True)
    labels = (torch.rand(len(values[0]), case.tasks) < 0.3).float().to(device)

    def step(rows: np.ndarray) -> None:
        index = torch.from_numpy(rows).to(device)
        with torch.device(device):  # the plain model makes its constants where the default is
            module.step(model, optimiser, [x[index] for x in values], labels[index], case.update)

    return step


class AtOnce:
    """One step of each of the fleets, as many at once as training would take."""

    def __init__(self, fleets: Sequence[FleetTraining]) -> None:
        self.fleets = fleets
        threads = torch.get_num_threads()
        count = min(len(fleets), workers(fleets[0].first.device, threads))
        # a single fleet goes on the threads of the opponent: others would wait for work beside it
        self.pool = None
        if count > 1:
            self.pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(threads // count,))

    def __call__(self, rows: np.ndarray, step: int) -> None:
        each = map if self.pool is None else self.pool.map
        list(each(lambda fleet: fleet.update(rows, step), self.fleets))


def speed_of(case: Case, data: Dataset, options: argparse.Namespace, module: ModuleType | None) -> list[list[str]]:
    """The table's rows for one network: the opponent, then fleets of ours in both precisions."""
    device, kept = options.device, Materials()
    contenders: dict[tuple[str, int], Callable[[np.ndarray, int], object]] = {}
    shape = None
    for precision, count in itertools.product(options.precisions, options.members):
        plan = trials(data, case, count, precision, device)
        shape = trial_shape(data, plan[0])
        contenders[precision, count] = AtOnce([FleetTraining(data, one, kept) for one in form_fleets(data, plan)])
    assert shape is not None
    first = trials(data, case, 1, "float32", device)[0]
    inputs = kept.of(data, first).material
    if module is not None and case.tasks > 0:
        plain = opponent(module, case, inputs.values, device)
        contenders["opponent", 1] = lambda rows, step: plain(rows)
    rows = [one for one in batches(inputs.train, BATCH, order_generator(first, 0)) if len(one) == BATCH]
    took: dict[tuple[str, int], list[float]] = {key: [] for key in contenders}
    peak = Peak(device)
    for number in range(options.rounds + 1):
        peak.measure()
        for key, update in contenders.items():
            if number > LARGE_ROUNDS and key[1] > 16:
                continue
            one = rows[number % len(rows)]
            took[key].append(seconds(lambda u=update, r=one, n=number: u(r, n), device) / key[1])  # type: ignore[misc]
    top = statistics.median(peak.seen[1:])
    flops = member_flops(shape, first, BATCH)
    medians = {key: statistics.median(times[1:]) for key, times in took.items()}
    other = medians.get(("opponent", 1))
    lines = []
    for (precision, count), median in sorted(medians.items(), key=lambda item: (item[0][0] != "opponent",)):
        plainly = precision == "opponent"
        lines.append([
            case.name, "binary + clustering" if case.tasks < 0 else str(case.tasks), case.update,
            "float32" if plainly else precision, str(torch.get_num_threads()),
            "opponent" if plainly else "m3h", str(count),
            f"{median * 1e3:.2f}", f"{flops / median / 1e9:.0f}", f"{flops / median / top:.0%}",
            f"{other / median:.2f}" if other else "",
        ])  # fmt: skip
        print("  ".join(lines[-1]), f"(peak {top / 1e9:.0f})", flush=True)
    return lines


def speed(options: argparse.Namespace) -> list[list[str]]:
    module = reference()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no NVIDIA card here: the table is written with empty cells")
        cells = [
            [case.name, str(case.tasks), case.update, precision, "", "m3h", str(count), "", "", "", ""]
            for case in CASES[:4]
            for precision in options.precisions
            for count in options.members
        ]
        return [HEAD, *cells]
    table = [HEAD]
    known: dict[tuple[int, ...], Dataset] = {}
    for case in CASES[: options.cases]:
        data = known.setdefault(case.widths, study(options.rows, case.widths))
        table += speed_of(case, data, options, module)
    return table


def growth(options: argparse.Namespace) -> list[list[str]]:
    """Seconds of whole trainings of pairs, one epoch, setting up and scoring included."""
    table = [["rows", "inputs", "members", "threads", "update", "seconds per member", "GFLOP/s over all"]]
    sizes = [(rows, PAPER, 8) for rows in (2500, 5000, 10025)]
    sizes += [(5000, tuple(max(1, width // part) for width in PAPER), 8) for part in (8, 4, 2)]
    sizes += [(2500, ICU, members) for members in MANY]
    for rows, widths, members in sizes:
        data = study(rows, widths)
        for update in ("sequential", "joint"):
            plan = trials(data, Case("", widths, 2, update), members, "float32", options.device, epochs=1)
            took = statistics.median(seconds(lambda p=plan, d=data: list(train(d, p)), "cpu") for _ in range(3))  # type: ignore[misc]
            flops = members * member_flops(trial_shape(data, plan[0]), plan[0], len(data.train_rows))
            table.append([
                str(rows), str(sum(widths)), str(members), str(torch.get_num_threads()), update,
                f"{took / members:.2f}", f"{flops / took / 1e9:.0f}",
            ])  # fmt: skip
            print("  ".join(table[-1]), flush=True)
    return table


def agreement(options: argparse.Namespace) -> list[list[str]]:
    from fleet_agreement import compared

    module = reference()
    return [] if module is None else compared(module)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast fleets train.")
    parser.add_argument("table", choices=["speed", "growth", "agreement"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rows", type=int, default=10025)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--members", type=int, nargs="+", help="default: 1 4 16, on a card also 64 256")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--cases", type=int, default=len(CASES), help="only the first of the networks")
    parser.add_argument("--out", type=Path, default=HERE / "docs" / "results", help="folder of the CSV")
    options = parser.parse_args()
    options.members = options.members or MEMBERS[options.device]
    table = {"speed": speed, "growth": growth, "agreement": agreement}[options.table](options)
    name = "" if options.table == "speed" else f"_{options.table}"
    file = options.out / f"fleet_speed{name}{'_cuda' if options.device == 'cuda' else ''}.csv"
    if table:
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(table)


if __name__ == "__main__":
    main()
