"""Write docs/cli.md from what `m3h --help` and `m3h COMMAND --help` say.

python .ci/cli_page.py            writes it
python .ci/cli_page.py --check    writes nothing; 1 if the page would change
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import typer.main
from typer.testing import CliRunner

from m3h.cli.main import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
WIDTH = 100
HEAD = """# The command line

What `m3h --help` and `m3h COMMAND --help` say; this page is written by `python .ci/cli_page.py`.

Results go to standard output, progress to standard error. `--json` prints one JSON document instead of tables.
A command ends with status 0 when it is done, 2 for something that you can mend (it says what, where and what to do
next), 1 for a mistake of this program, 130 when you stop it. A run folder is written whole or not at all.
"""


def commands() -> tuple[str, ...]:
    """Names of all commands, in the order of `m3h --help`."""
    group = typer.main.get_group(app)
    return tuple(group.commands)


def help_of(*command: str) -> str:
    """The help text of a command. Errors: RuntimeError if it cannot be asked."""
    told = CliRunner().invoke(app, [*command, "--help"], prog_name="m3h", color=False, terminal_width=WIDTH)
    if told.exit_code != 0:
        raise RuntimeError(f"m3h {' '.join(command)} --help ends with status {told.exit_code}")
    return "\n".join(line.rstrip() for line in told.output.strip().splitlines())


def page() -> str:
    """The whole page."""
    parts = [HEAD, f"```text\n{help_of()}\n```\n"]
    for name in commands():
        parts.append(f"## m3h {name}\n\n```text\n{help_of(name)}\n```\n")
    return "\n".join(parts)


def main(arguments: list[str], target: Path) -> int:
    """0 if the page is, or was made, what the commands say."""
    parser = argparse.ArgumentParser(description="Write docs/cli.md from the commands' help.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page would change")
    check = parser.parse_args(arguments).check
    text = page()
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print(f"docs/{target.name} does not match the commands' help: run python .ci/{Path(__file__).name}")
        return 1
    target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PAGE))
