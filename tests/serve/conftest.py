"""Two small runs, made once: of every modality and kind of task, and of columns of one table alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from starlette.testclient import TestClient

from called import relying
from m3h.api.options import Options
from m3h.api.run import run
from m3h.serve.app import make
from m3h.serve.guard import Access
from m3h.serve.limits import Limits
from m3h.serve.served import Served, load
from m3h.study.spec import Study
from serve.sending import ADDRESS, LOOPBACK, Client, Made, zipped


def _made(folder: Path, small_study: Callable[..., Path], text: Callable[[str], str] | None = None) -> Made:
    study = Study.read(small_study(folder / "study", text=text))
    with relying():
        run(study, folder / "run", Options(epochs=2, cache=None, baseline=text is None), lambda text, share: None)
    return Made(folder / "run", folder / "study")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, small_study: Callable[..., Path]) -> Made:
    """With interactions that nobody measured, as m3h tim writes them."""
    found = _made(tmp_path_factory.mktemp("serve"), small_study)
    rows = [
        {
            "source": "died",
            "target": "days",
            "tim": 0.012,
            "low": 0.004,
            "high": 0.02,
            "q": 0.01,
            "trials": 8,
            "rank": 1.0,
        },
        {
            "source": "days",
            "target": "died",
            "tim": -0.02,
            "low": -0.05,
            "high": 0.01,
            "q": 0.3,
            "trials": 8,
            "rank": -1.0,
        },
    ]
    more = {"method": "pairs", "metric": "auroc"}
    pl.DataFrame([row | more for row in rows]).write_csv(found.run / "tim.csv")
    return found


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory, small_study: Callable[..., Path]) -> Made:
    """A study whose one source is columns of the samples table."""

    def only(text: str) -> str:
        head, _, rest = text.partition('[[source]]\nname = "vitals"')
        return head + rest[rest.index("[[task]]") :]

    return _made(tmp_path_factory.mktemp("table"), small_study, only)


@pytest.fixture(scope="session")
def served(made: Made) -> Served:
    return load(made.run, data=made.data)


@pytest.fixture(scope="session")
def bare(made: Made) -> Served:
    """Of the run alone: its test patients' inputs are not known."""
    return load(made.run)


@pytest.fixture(scope="session")
def tabular(table: Made) -> Served:
    return load(table.run, data=table.data)


@pytest.fixture
def opened() -> Client:
    """A function that gives a client of what is served; each has its own cookies."""

    def client(served: Served, access: Access = LOOPBACK, limits: Limits | None = None) -> TestClient:
        own = replace(served, limits=limits or served.limits)  # with sessions and a folder of its own
        return TestClient(make(own, access), base_url=ADDRESS, follow_redirects=False)

    return client


@pytest.fixture
def client(opened: Client, served: Served) -> TestClient:
    return opened(served)


@pytest.fixture(scope="session")
def folder_zip(made: Made) -> bytes:
    """All tables and images of the study, as somebody would pack them."""
    paths = [path for path in made.data.rglob("*") if path.is_file() and path.name != "study.toml"]
    return zipped({f"new/{path.relative_to(made.data).as_posix()}": path.read_bytes() for path in paths})
