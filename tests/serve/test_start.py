"""The command: where it serves, what it says of that, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from called import call
from m3h.core.errors import SettingError
from m3h.serve.start import bind, check_host, is_loopback
from serve.sending import Made

TOKEN = "a-token-of-many-letters"


def test_only_this_machine_needs_no_token() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "localhost", "::1", "[::1]"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.7", "ward-pc", ""))
    check_host("127.0.0.1", None)
    check_host("0.0.0.0", TOKEN)
    with pytest.raises(SettingError, match="open to the network without a token"):
        check_host("0.0.0.0", None)
    for token in ("", "fifteen-letters", "sixteen letters!", "é" * 20, "with\nline" * 3):
        with pytest.raises(SettingError, match="the token is too short"):
            check_host("127.0.0.1", token)


def test_a_free_port_is_taken_and_a_taken_one_refused() -> None:
    place = bind("127.0.0.1", 0, None)
    with place.listening:
        port = place.listening.getsockname()[1]
        assert place.address == f"http://127.0.0.1:{port}/" and place.access.port == port
        assert place.access.serves(f"localhost:{port}") and "only this machine" in place.warnings[0]
        with pytest.raises(SettingError, match="cannot listen there"):
            bind("127.0.0.1", port, None)
    with pytest.raises(SettingError, match="cannot listen there"):
        bind("no-such-host.invalid", 0, TOKEN)


def test_what_opening_it_means_is_said() -> None:
    place = bind("0.0.0.0", 0, TOKEN, ["risks.hospital.example"])
    with place.listening:
        assert "open to every network this machine is in" in place.warnings[0]
        assert "not encrypted" in place.warnings[1] and TOKEN not in "".join(place.warnings)
        port = place.access.port
        assert place.access.serves(f"risks.hospital.example:{port}") and place.access.serves(f"10.0.0.9:{port}")
        assert not place.access.serves(f"evil.example:{port}")
    with (locked := bind("127.0.0.1", 0, TOKEN)).listening:
        assert locked.warnings == ()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--host", "0.0.0.0"], "open to the network without a token"),
        (["--token", "short"], "the token is too short"),
        (["--port", "70000"], "--port"),
        (["--data", "nowhere", "--port", "0"], "no such file or folder"),
    ],
)
def test_mistakes_are_told(words: list[str], told: str, made: Made) -> None:
    done = call("serve", made.run, *words)
    assert done.status == 2 and told in done.err and "Traceback" not in done.err


def test_where_no_run_is(tmp_path: Path) -> None:
    done = call("serve", tmp_path, "--port", "0")
    assert done.status == 2 and "run.json cannot be read" in done.err


def test_without_the_extra_it_says_how_to_get_it(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = call("serve", made.run)
    assert done.status == 2 and "m3h[serve]" in done.err


def test_it_serves_until_it_is_stopped(made: Made, tmp_path: Path) -> None:
    """In a process of its own, whose temporary folder is empty again in the end; nothing asked for is logged."""
    code = "from m3h.cli.main import main; main()"
    words = ["serve", str(made.run), "--port", "0", "--json"]
    command = [sys.executable, "-c", code, *words]
    around = os.environ | {"TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=around) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["address"]
            with urllib.request.urlopen(f"{address}api/run", timeout=20) as answer:
                assert json.load(answer)["title"] == "Sixty visits of forty patients"
                assert "server" not in {name.lower() for name in answer.headers}
            body = b'{"rows": [{"age": 50}]}'
            asked = urllib.request.Request(f"{address}api/predict", body, {"content-type": "application/json"})
            with urllib.request.urlopen(asked, timeout=20) as answer:
                assert answer.status == 200
            assert [path.name[:10] for path in tmp_path.iterdir()] == ["m3h-serve-"]
            with socket.create_connection(("127.0.0.1", int(address.split(":")[2].strip("/"))), 5) as raw:
                raw.sendall(b"GET http://[ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
                assert raw.recv(100).startswith(b"HTTP/1.1 400")
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 143 and out == ""
    assert "Traceback" not in err and "api/run" not in err and "GET" not in err
    assert list(tmp_path.iterdir()) == []


def test_importing_it_is_light() -> None:
    code = "import sys, m3h.cli.serve; print(sorted({'torch', 'duckdb', 'polars', 'starlette'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
