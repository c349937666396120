"""Nothing leaves the machine, and what a run leaves behind says nothing of a patient but where it must."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from called import call

SECRETS = ("visit-zq", "person-zq", "told in confidence", "confidence")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every road to another machine is closed."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("something wanted to reach another machine")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.fixture(scope="module")
def study(small_study: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ids and notes that nothing else looks like; one image is broken, one note stands too late."""

    def edit(tables: dict[str, list[dict[str, object]]]) -> None:
        for rows in tables.values():
            for row in rows:
                row["visit"] = f"visit-zq{row['visit']}"
                if "patient" in row:
                    row["patient"] = f"person-zq{row['patient']}"
                if "text" in row:
                    row["text"] = f"{row['text']} told in confidence"
        tables["notes"][0]["hour"] = 99.0

    path = small_study(tmp_path_factory.mktemp("private") / "study", edit=edit)
    (path.parent / "images" / "v00.png").write_text("told in confidence")
    return path


def test_all_works_without_a_network_and_tells_nothing_of_a_patient(
    study: Path, no_network: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On the screen, in the log, and in all files but the predictions, which name samples and patients."""
    out = tmp_path / "run"
    with caplog.at_level(logging.DEBUG):
        called = (
            call("check", study, "--no-cache"),
            call("check", study, "--no-cache", "--json"),
            call("run", study, "--out", out, "--epochs", 1, "--baseline", "--no-cache"),
        )
    assert [done.status for done in called] == [0, 0, 0]
    assert "an image that cannot be read" in called[0].out
    told = {f"screen of command {number}": done.out + done.err for number, done in enumerate(called)}
    told["log"] = caplog.text
    told |= {path.name: path.read_text() for path in out.iterdir() if path.suffix in (".json", ".csv", ".html")}
    assert {"run.json", "report.html", "scores.csv"} <= set(told)
    for secret in SECRETS:
        assert not [where for where, text in told.items() if secret in text], secret
    for path in (out / "model").iterdir():
        # a vocabulary holds single words
        assert not [secret for secret in SECRETS[:3] if secret.encode() in path.read_bytes()], path.name


def test_a_blocked_road_is_noticed(no_network: None) -> None:
    with pytest.raises(AssertionError, match="another machine"):
        socket.create_connection(("127.0.0.1", 9))
    with socket.socket() as one, pytest.raises(AssertionError, match="another machine"):
        one.connect(("127.0.0.1", 9))
