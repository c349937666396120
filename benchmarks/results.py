"""Write the tables of docs/results.md from the CSV files of docs/results.

python benchmarks/results.py            writes them
python benchmarks/results.py --check    writes nothing; 1 if the page would change

A table stands between `<!-- table: name -->` and `<!-- end -->` and comes from docs/results/name.csv. Columns of
numbers are set to the right; cells are shown as the CSV has them.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from pathlib import Path

BLOCK = re.compile(r"(?P<open><!-- table: (?P<name>[\w.-]+) -->)(?P<body>.*?)(?P<close><!-- end -->)", re.DOTALL)
OPENED = re.compile(r"<!-- table: ([\w.-]+) -->")


class ResultsError(Exception):
    """A table that cannot be written."""


def markdown(file: Path) -> str:
    """The table of a CSV file. Errors: ResultsError if it is missing, empty or ragged."""
    if not file.is_file():
        raise ResultsError(f"{file.name} is missing in docs/results")
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [[cell.strip().replace("|", "\\|") for cell in row] for row in csv.reader(stream) if row]
    if not rows:
        raise ResultsError(f"{file.name} is empty")
    head, *body = rows
    for number, row in enumerate(body, start=2):
        if len(row) != len(head):
            raise ResultsError(f"{file.name}, row {number}: {len(row)} cells, expected {len(head)}")
    right = [bool(body) and all(_is_number(row[column]) for row in body) for column in range(len(head))]
    lines = [head, ["--:" if numbers else "---" for numbers in right], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def filled(page: str, folder: Path) -> str:
    """``page`` with every table written anew. Errors: ResultsError for a table without an end or without a CSV."""
    blocks = list(BLOCK.finditer(page))
    if [block["name"] for block in blocks] != OPENED.findall(page):
        raise ResultsError("a table has no <!-- end --> before the next one begins")
    return BLOCK.sub(
        lambda block: f"{block['open']}\n{markdown(folder / (block['name'] + '.csv'))}\n{block['close']}", page
    )


def main(arguments: list[str], docs: Path) -> int:
    """0 if the page is, or was made, what the CSV files say."""
    parser = argparse.ArgumentParser(description="Write the tables of docs/results.md from docs/results/*.csv.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page would change")
    check = parser.parse_args(arguments).check
    page = docs / "results.md"
    if not page.is_file():
        waiting = sorted(file.name for file in (docs / "results").glob("*.csv"))
        print(f"docs/results.md is missing; {len(waiting)} tables wait for it")
        return 1 if waiting else 0
    before = page.read_text(encoding="utf-8")
    try:
        after = filled(before, docs / "results")
    except ResultsError as error:
        print(error)
        return 1
    if after != before and check:
        print("docs/results.md does not match docs/results/*.csv: run make results")
        return 1
    if after != before:
        page.write_text(after, encoding="utf-8")
    return 0


def _is_number(cell: str) -> bool:
    return cell == "" or re.fullmatch(r"[-+]?\d[\d,]*(\.\d+)?%?", cell) is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).parents[1] / "docs"))
