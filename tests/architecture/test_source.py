"""What no file may hold: unpickling, global randomness, addresses of registries, places of one machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = sorted((ROOT / "src").rglob("*.py"))
PICKLING_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
PICKLING_CALLS = {"torch.save", "torch.load", "pandas.read_pickle", "numpy.lib.format.read_array"}
SEEDING_CALLS = {
    *("random.seed", "numpy.random.seed", "torch.manual_seed", "torch.seed", "torch.random.manual_seed"),
    *("torch.cuda.manual_seed", "torch.cuda.manual_seed_all", "torch.mps.manual_seed"),
}
#: Draws from NumPy's or Python's one global stream.
GLOBAL_DRAWS = re.compile(
    r"(numpy\.)?random\.(rand|randn|randint|random|random_sample|choice|choices|sample|shuffle|permutation|normal|uniform|gauss)"
)


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the full name of what is called, import names resolved."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            head, dot, rest = ast.unparse(node.func).partition(".")
            if head in names:
                yield names[head] + dot + rest, node


def imported(tree: ast.AST) -> set[str]:
    """Top names of all imported modules."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def pickling(text: str) -> list[str]:
    tree = ast.parse(text)
    found = sorted(imported(tree) & PICKLING_MODULES)
    for name, call in calls(tree):
        pickled = any(word.arg == "allow_pickle" and getattr(word.value, "value", True) for word in call.keywords)
        # the restricted unpickler makes tensors and what is on a list, and calls nothing else
        restricted = name == "torch.load" and any(
            word.arg == "weights_only" and getattr(word.value, "value", None) is True for word in call.keywords
        )
        if (name in PICKLING_CALLS and not restricted) or pickled:
            found.append(name)
    return found


def global_randomness(text: str) -> list[str]:
    names = [name for name, _ in calls(ast.parse(text))]
    return [name for name in names if name in SEEDING_CALLS or GLOBAL_DRAWS.fullmatch(name)]


def test_nothing_is_pickled() -> None:
    found = {str(file.relative_to(ROOT)): pickling(file.read_text(encoding="utf-8")) for file in PYTHON}
    assert {name: uses for name, uses in found.items() if uses} == {}


def test_randomness_is_passed_by_name() -> None:
    found = {str(file.relative_to(ROOT)): global_randomness(file.read_text(encoding="utf-8")) for file in PYTHON}
    assert {name: uses for name, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import dump",
        "import torch\ntorch.load('a')",
        "import torch\ntorch.load('a', weights_only=False)",
        "import torch\nsafe = True\ntorch.load('a', weights_only=safe)",
        "from torch import save as keep\nkeep(1, 'a')",
        "import numpy as np\nnp.load('a', allow_pickle=True)",
    ],
)
def test_pickling_is_seen(text: str) -> None:
    assert pickling(text)


def test_what_is_no_pickling_passes() -> None:
    assert (
        pickling("import numpy as np\nnp.load('a', allow_pickle=False)\nimport torch\ntorch.sum(torch.ones(2))") == []
    )


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ntorch.manual_seed(1)",
        "import numpy as np\nnp.random.seed(1)",
        "from numpy import random\nrandom.shuffle([1])",
        "import random\nrandom.random()",
    ],
)
def test_global_randomness_is_seen(text: str) -> None:
    assert global_randomness(text)


def test_a_generator_of_its_own_passes() -> None:
    imports = "import numpy as np\nimport torch\n"
    text = imports + "np.random.Generator(np.random.PCG64(1)).random()\ntorch.Generator().manual_seed(1)"
    assert global_randomness(text) == []


REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|pypi\.python|download\.pytorch\.org|conda\.anaconda|/simple/|--(extra-)?index-url",
    re.I,
)
MACHINE = re.compile(r"(?<![\w.~$}-])/(home|root|Users|work|mnt|data|opt|private)/\w|\b[A-Z]:\\\\?\w")
SUFFIXES = {".py", ".toml", ".txt", ".md", ".sql", ".css", ".html", ".cff", ".yml", ".yaml", ".csv", ""}


def project_files() -> list[Path]:
    """What a reader of the project gets, but for the tests, which must name what they look for."""
    folders = [ROOT / name for name in ("src", "benchmarks", "examples", "docs", ".ci")]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    files += [file for file in ROOT.iterdir() if file.is_file() and not file.name.startswith(".")]
    derived = {"__pycache__", "m3h.egg-info"}
    return sorted(file for file in files if file.suffix in SUFFIXES and not derived & set(file.parts))


def test_no_file_names_a_registry_or_a_place_on_one_machine() -> None:
    files = project_files()
    assert ROOT / "Makefile" in files and ROOT / ".ci" / "run" in files
    found = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        found += [
            f"{file.relative_to(ROOT)}: {match.group()}"
            for match in (*REGISTRY.finditer(text), *MACHINE.finditer(text))
        ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["/home/me/a", "open('/root/x')", "C:\\\\data", "https://" + "PyPI" + ".org/simple", "--index" + "-url x"]
)
def test_such_a_place_is_seen(text: str) -> None:
    assert REGISTRY.search(text) or MACHINE.search(text)
