"""Fails if a Python file of src or tests has more than 400 lines; prints the largest ones."""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT = 400
SHOWN = 5


def sizes(root: Path) -> list[tuple[int, str]]:
    """Lines and path of every Python file of src and tests, the largest first."""
    files = (path for folder in ("src", "tests") for path in (root / folder).rglob("*.py"))
    counted = [
        (len(path.read_text(encoding="utf-8").splitlines()), path.relative_to(root).as_posix()) for path in files
    ]
    return sorted(counted, key=lambda entry: (-entry[0], entry[1]))


def main(root: Path) -> int:
    """1 if a file is too long."""
    counted = sizes(root)
    for lines, name in counted[:SHOWN]:
        print(f"{lines:5d}  {name}")
    long = [name for lines, name in counted if lines > LIMIT]
    for name in long:
        print(f"{name}: more than {LIMIT} lines; one concept, one file: split it")
    return 1 if long else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]))
