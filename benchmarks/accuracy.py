"""Is the preset m3h better than its opponents? Gradient-boosted trees tuned for each task, linear models, the paper's
network, single tasks; fewer patients, missing sources, and the preset without its ingredients.

usage: python benchmarks/accuracy.py tune    STUDY --work DIR [--folds 2] [--threads 1]
       python benchmarks/accuracy.py compare STUDY --work DIR [--folds 2] [--replicates 2] [--paper-long] [--final]
       python benchmarks/accuracy.py ablate  STUDY --work DIR --change "name: field=value,field=value" [--change ...]
       python benchmarks/accuracy.py sizes   STUDY --work DIR [--final]
       python benchmarks/accuracy.py missing STUDY --work DIR [--final]
       python benchmarks/accuracy.py cost    STUDY --work DIR [--threads 2] [--final]
       python benchmarks/accuracy.py tell

STUDY is a study file or indiana, the built-in study. DIR keeps tuned settings and predictions: a command that was
stopped goes on, and nothing is trained twice. Tuning comes first, once a study; smaller sizes reuse its settings.

Without --final everything is trained and scored on training rows, by cross-validation by patient, and the labels of
the test rows are removed as soon as the study is read. With --final networks train on the whole training part with
three replicates, the test rows are scored, and the numbers are added to docs/results/accuracy_final.csv, where lines
are never changed; tell makes docs/results/accuracy_test*.csv of the last of each. Scores are means over folds and
replicates, never scores of averaged predictions; the mean over tasks takes R-squared as it is; intervals are 95 % of a
bootstrap by patient with the same draws for all models and tasks. A draw may lack what a rare class needs: differences
of means are then those of the tasks that it can score, and a mean has no interval if most draws lack something.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from comparing import ablation, cost, lines, missing, parts, sizes, told, trees, whole
from comparing.session import Session, Wish, say
from m3h.core.errors import M3HError


def names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def wish(given: argparse.Namespace) -> Wish:
    chosen = {name: value for name, value in vars(given).items() if name in Wish.__dataclass_fields__}
    return Wish(**chosen)


def tune(given: argparse.Namespace) -> None:
    data = parts.opened(given.study, given.work)
    trees.tune(
        data, given.work, folds=given.folds, threads=given.threads, count=given.settings, tasks=given.tasks, say=say
    )


def compare(given: argparse.Namespace) -> None:
    session = Session(wish(given))
    whole.compare(session, given.paper_long)


def ablate(given: argparse.Namespace) -> None:
    ablation.ablate(Session(wish(given)), given.change)


def fewer_patients(given: argparse.Namespace) -> None:
    sizes.sizes(Session(wish(given)))


def sources_missing(given: argparse.Namespace) -> None:
    missing.missing(Session(wish(given)))


def measure_cost(given: argparse.Namespace) -> None:
    if given.child:
        cost.measure(given.study, given.work, given.threads)
        return
    found = cost.cost(given.study, given.work, given.threads)
    if given.final:
        lines.append(found, parts.opened(given.study, given.work).name)


def tell(given: argparse.Namespace) -> None:
    say("written: " + ", ".join(place.name for place in told.tell()))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    kept = argparse.ArgumentParser(add_help=False)
    kept.add_argument("study", metavar="STUDY")
    kept.add_argument("--work", type=Path, required=True, help="folder that keeps what was trained")
    kept.add_argument("--threads", type=int, default=1, help="of LightGBM and PyTorch; they change no digit")
    some = argparse.ArgumentParser(add_help=False)
    some.add_argument("--folds", type=int, default=2, help="of the project's five folds of the training part")
    some.add_argument("--tasks", type=names, default=(), help="a,b: only these")
    scored = argparse.ArgumentParser(add_help=False)
    scored.add_argument("--replicates", type=int, help="default: 2, with --final 3")
    scored.add_argument("--draws", type=int, default=2000, help="of the bootstrap")
    scored.add_argument("--retrain", type=names, default=(), help="m3h,paper: networks that older code trained")
    final = argparse.ArgumentParser(add_help=False)
    final.add_argument("--final", action="store_true", help="score the test rows, and add to the final results")

    one = commands.add_parser("tune", parents=[kept, some], help="choose LightGBM's settings, task by task")
    one.add_argument("--settings", type=int, default=trees.SETTINGS, help="the first of the settings")
    one.set_defaults(do=tune)
    one = commands.add_parser("compare", parents=[kept, some, scored, final], help="all models on all tasks")
    one.add_argument("--paper-long", action="store_true", help="the paper's preset also for 60 epochs at 1e-3")
    one.set_defaults(do=compare)
    one = commands.add_parser("ablate", parents=[kept, some, scored], help="m3h joint with other choices")
    one.add_argument("--change", action="append", required=True, help='"name: field=value,field=value"')
    one.set_defaults(do=ablate)
    one = commands.add_parser(
        "sizes", parents=[kept, some, scored, final], help="100, 50, 25 and 10 %% of the patients"
    )
    one.set_defaults(do=fewer_patients)
    one = commands.add_parser("missing", parents=[kept, some, scored, final], help="each source gone when asked")
    one.set_defaults(do=sources_missing)
    one = commands.add_parser("cost", parents=[kept], help="seconds and memory of training m3h joint")
    one.add_argument("--final", action="store_true", help="add to the final results; nothing else should be running")
    one.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    one.set_defaults(do=measure_cost)
    one = commands.add_parser("tell", help="tables for docs/results.md from the final results")
    one.set_defaults(do=tell)
    return made


def main() -> None:
    given = parser().parse_args()
    try:
        given.do(given)
    except M3HError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
