from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import m3h

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "m3h"
LAYERS = [
    *("cli", "serve", "api", "report", "explain", "experiments", "training", "network", "evaluation", "dataset"),
    *("encoders", "hospital", "study", "core"),
]
LIGHT = ["m3h", "m3h.study.task", "m3h.study.presets"]
#: Learning needs no tables: these load where duckdb, polars and pydantic are not installed.
LEARNING = ["core", "network", "training"]


def modules_of(folder: str) -> list[str]:
    """Dotted names of all modules of a folder."""
    files = sorted((SOURCE / folder).rglob("*.py"))
    parts = [file.relative_to(SOURCE.parent).with_suffix("").parts for file in files]
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


EVERYTHING_LIGHT = f"""
import importlib, sys
for name in {[*LIGHT, *modules_of("core")]!r}:
    importlib.import_module(name)
print("loaded:", sorted({{"torch", "duckdb", "polars", "pydantic"}} & set(sys.modules)))
"""
HELP = """
import sys
sys.argv = ["m3h", "--help"]
try:
    from m3h.cli.main import main
    main()
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", sorted({"torch", "duckdb"} & set(sys.modules)))
"""
STARTS = {"import": EVERYTHING_LIGHT} | ({"help": HELP} if (SOURCE / "cli" / "main.py").is_file() else {})


@pytest.mark.parametrize("start", STARTS)
def test_starting_loads_neither_torch_nor_duckdb(start: str) -> None:
    done = run(STARTS[start])
    assert done.stdout.strip().endswith("loaded: []"), done.stderr or done.stdout[-300:]


BLOCKED = """
import importlib, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"duckdb", "polars", "pydantic"}:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def test_learning_imports_without_duckdb_polars_and_pydantic() -> None:
    names = [name for folder in LEARNING for name in modules_of(folder)]
    names += ["m3h.dataset.dataset", "m3h.study.task", "m3h.study.presets"]
    assert "m3h.training.trial" in names
    done = run(BLOCKED + f"for name in {names!r}: importlib.import_module(name)\nprint('all of them')")
    assert done.stdout.strip() == "all of them", done.stderr


def test_the_blocker_blocks() -> None:
    done = run(BLOCKED + "import m3h.study.spec")
    assert done.returncode == 1 and "blocked: pydantic" in done.stderr


def test_exported_members() -> None:
    assert m3h.__all__ == ["Dataset", "M3H", "M3HError", "Study", "dataset", "search", "tim"]
    assert dir(m3h) == ["Dataset", "M3H", "M3HError", "Study", "__version__", "dataset", "search", "tim"]
    with pytest.raises(AttributeError, match="no attribute 'Datasat'"):
        _ = m3h.Datasat


@pytest.mark.parametrize(
    ("name", "module"),
    [
        (name, module)
        for name, module in m3h._PUBLIC.items()
        if SOURCE.parent.joinpath(*module.split(".")).with_suffix(".py").is_file()
    ],
)
def test_each_exported_member_is_the_thing_itself(name: str, module: str) -> None:
    assert getattr(m3h, name) is getattr(importlib.import_module(module), name)


def test_the_dataset_package_can_be_called() -> None:
    assert callable(m3h.dataset) and m3h.dataset is sys.modules["m3h.dataset"]


def test_the_layers_name_every_folder() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = settings["contracts"]
    folders = {file.parent.name for file in SOURCE.glob("*/*.py")}
    assert contract["layers"] == LAYERS
    assert contract["type"] == "layers" and contract["exhaustive"] is True and contract["containers"] == ["m3h"]
    assert folders <= set(LAYERS)
    assert [file.name for file in SOURCE.glob("*.py")] == ["__init__.py"]
