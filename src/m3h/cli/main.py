"""The command `m3h`. Exit status: 0 done, 2 something the user can mend, 1 a mistake of this program."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from typing import NoReturn

import typer

from m3h import __version__
from m3h.cli.beds import beds
from m3h.cli.check import check
from m3h.cli.haim import haim
from m3h.cli.ledger import ledger
from m3h.cli.mimic import mimic
from m3h.cli.plan import plan
from m3h.cli.predict import predict
from m3h.cli.run import demo, report, run, search, tim, train
from m3h.cli.serve import serve
from m3h.cli.simulate import simulate
from m3h.cli.tasks import tasks
from m3h.cli.weights import weights
from m3h.core.errors import M3HError
from m3h.core.stopping import interrupt_all

app = typer.Typer(
    name="m3h",
    help="Multimodal multitask machine learning for hospitals: many inputs, many questions, one honest report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    demo,
    check,
    run,
    train,
    search,
    tim,
    plan,
    predict,
    serve,
    report,
    beds,
    ledger,
    mimic,
    haim,
    simulate,
    tasks,
    weights,
):
    app.command(command.__name__)(command)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Shown by --help is the text given to the app."""


#: The exit status of a command that was stopped by Ctrl-C.
_BY_HAND = 130


class _Terminated(BaseException):
    """SIGTERM, which ends a command as Ctrl-C does: with its locks given back and nothing half-written."""


#: What DuckDB says when a signal ends its query.
_INTERRUPTED = "Query interrupted"
#: Holds something once SIGTERM came.
_asked: list[int] = []


def _terminated(number: int, frame: object) -> None:
    _asked.append(number)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what is being put away is not stopped again
    interrupt_all()
    raise _Terminated


def _by_hand(number: int, frame: object) -> None:
    interrupt_all()
    signal.default_int_handler(number, None)


def _stopped(how: str, status: int) -> NoReturn:
    print(f"m3h: {how}; give the same command again to go on", file=sys.stderr)
    sys.exit(status)


def _stopped_by_signal() -> NoReturn:
    if _asked:
        _stopped("terminated (SIGTERM)", 143)
    _stopped("stopped", _BY_HAND)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end with its exit status. A mistake the user can mend is printed without a traceback; one of
    this program is printed with it and named as such."""
    # Threads that wait for one another by spinning stand still as soon as another program wants a core: beside one busy
    # process a training took ten times as long. They may spin for some microseconds, which is what a wait takes when
    # there is no other program. Must be said before the libraries load; who has set either keeps it.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # who has it ignored keeps that
            signal.signal(signal.SIGINT, _by_hand)
    try:
        app(args=arguments)
    except M3HError as error:
        print(f"m3h: {error}", file=sys.stderr)
        sys.exit(2)
    except (_Terminated, KeyboardInterrupt):
        _stopped_by_signal()
    except SystemExit as end:
        if end.code == _BY_HAND:  # what Typer makes of Ctrl-C, without a word
            _stopped("stopped", _BY_HAND)
        raise
    except Exception as error:
        if str(error) == _INTERRUPTED:  # a signal in the midst of a query, which the database makes its own error of
            _stopped_by_signal()
        traceback.print_exc()
        print("m3h: this is a mistake of this program, not yours; please report the lines above", file=sys.stderr)
        sys.exit(1)
