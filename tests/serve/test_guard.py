"""Who may ask: hosts, other sites, tokens, cookies; and the headers of every answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.requests import Request
from starlette.responses import Response

from m3h.serve import pages
from m3h.serve.answers import CSP, HEADERS
from m3h.serve.guard import Access
from m3h.serve.served import Served
from m3h.serve.sessions import COOKIE
from serve.sending import ADDRESS, LOOPBACK, OWN, Client

TOKEN = "a-token-of-many-letters"
LOCKED = replace(LOOPBACK, token=TOKEN)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000", "localhost.:8000"]
)
def test_names_of_this_machine_are_served(host: str, served: Served, opened: Client) -> None:
    assert opened(served).get("/api/tasks", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example:8000", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:8001", "127.0.0.1.evil.example:8000", "", "a b"),
        *("localhost:8000@evil.example", "localhost:8000:8000", "10.0.0.1:8000", "[::2]:8000", "localhost:99999999"),
    ],
)
def test_other_names_are_not(host: str, served: Served, opened: Client) -> None:
    """A page of another name whose name has been made to stand for 127.0.0.1."""
    for path in ("/", "/api/run", "/static/serve.js"):
        answer = opened(served).get(path, headers={"host": host})
        assert answer.status_code == 400 and "not served under that name" in answer.text
        assert "Sixty visits" not in answer.text and COOKIE not in answer.headers.get("set-cookie", "")


def test_as_any_address_no_foreign_name_is_served() -> None:
    access = Access(frozenset({"ward-pc"}), 80, any_address=True, token=TOKEN)
    assert all(access.serves(host) for host in ("10.0.0.7", "10.0.0.7:80", "[fe80::1]", "ward-pc", "WARD-PC:80"))
    assert not any(access.serves(host) for host in ("evil.example", "ward-pc.evil.example", "10.0.0.7:81", "", None))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8001"},
        {"origin": ADDRESS, "sec-fetch-site": "cross-site"},
        {"origin": ADDRESS, "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
@pytest.mark.parametrize("path", ["/upload", "/forget", "/patients/1", "/logout", "/login"])
def test_forms_of_other_sites_are_refused(headers: dict[str, str], path: str, served: Served, opened: Client) -> None:
    assert opened(served).post(path, headers=headers, data={"c0": "1"}).status_code == 403


@pytest.mark.parametrize("headers", [OWN, {"origin": ADDRESS}, {"sec-fetch-site": "same-origin"}])
def test_own_forms_are_taken(headers: dict[str, str], served: Served, opened: Client) -> None:
    assert opened(served).post("/forget", headers=headers).status_code == 303


def test_a_program_may_ask_the_api_and_another_site_may_not(served: Served, opened: Client) -> None:
    client = opened(served)
    assert client.post("/api/predict", json={"rows": [{"age": 50}]}).status_code == 200
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert client.post("/api/predict", json={"rows": [{"age": 50}]}, headers=headers).status_code == 403
        assert client.delete("/api/upload", headers=headers).status_code == 403


def test_a_link_from_elsewhere_leads_here_and_a_script_does_not(served: Served, opened: Client) -> None:
    linked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert opened(served).get("/", headers=linked).status_code == 200
    assert opened(served).get("/api/run", headers=linked | {"sec-fetch-mode": "no-cors"}).status_code == 403


@pytest.mark.parametrize(
    "path", ["/", "/patients", "/nothing", "/api/run", "/api/nothing", "/static/serve.js", "/report"]
)
def test_every_answer_has_the_headers(path: str, served: Served, opened: Client) -> None:
    headers = opened(served).get(path).headers
    for name, text in HEADERS.items():
        if name != "cache-control" or not path.startswith("/static"):
            assert headers[name] == text or (path == "/report" and name == "content-security-policy"), name
    assert "unsafe-inline" not in CSP and "default-src 'none'" in CSP


def test_the_report_lies_in_a_sandbox(served: Served, opened: Client) -> None:
    policy = opened(served).get("/report").headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'sha256-")
    # its script runs by its hash alone, and never in the origin of the app
    assert policy.count("script-src") == 1 and "allow-same-origin" not in policy


def test_a_session_is_a_random_cookie_out_of_reach(served: Served, opened: Client) -> None:
    client = opened(served)
    first = client.get("/").headers["set-cookie"]
    name, _, rest = first.partition("=")
    key, *flags = rest.split("; ")
    assert name == COOKIE and len(key) >= 43 and set(flags) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert "set-cookie" not in client.get("/").headers
    assert opened(served).get("/").headers["set-cookie"] != first
    assert "set-cookie" not in opened(served).get("/static/serve.css").headers


def test_nobody_chooses_the_key_of_a_session(served: Served, opened: Client) -> None:
    client = opened(served)
    client.cookies.set(COOKIE, "chosen-by-somebody-else")
    assert "chosen-by-somebody-else" not in client.get("/").headers["set-cookie"]


@pytest.mark.parametrize("path", ["/", "/patients", "/report", "/forecasts.csv", "/upload"])
def test_without_the_token_there_is_only_the_login(path: str, served: Served, opened: Client) -> None:
    client = opened(served, LOCKED)
    answer = client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "set-cookie" not in answer.headers
    assert client.get("/login").status_code == 200
    for headers in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": "Bearer"}, {"authorization": TOKEN}):
        refusal = client.get("/api/run", headers=headers)
        assert refusal.status_code == 401 and refusal.headers["www-authenticate"] == "Bearer"
    # the token is for programs; a page needs a session
    assert client.get("/patients", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 303
    assert client.post("/upload", headers=OWN).status_code == 401


def test_logging_in_and_out(served: Served, opened: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_WRONG", 0.0)
    client = opened(served, LOCKED)
    for wrong in ("", "a-token-of-many-lettert", TOKEN + "x"):
        answer = client.post("/login", data={"token": wrong}, headers=OWN)
        assert answer.status_code == 401 and "That is not the token" in answer.text
        assert COOKIE not in answer.headers.get("set-cookie", "")
    answer = client.post("/login", data={"token": TOKEN}, headers=OWN)
    assert answer.status_code == 303 and TOKEN not in answer.headers["set-cookie"]
    assert "Log out" in client.get("/").text
    key = client.cookies[COOKIE]
    assert client.post("/logout", headers=OWN).status_code == 303
    client.cookies.set(COOKIE, key)
    assert client.get("/").status_code == 303


def test_the_token_in_a_header(served: Served, opened: Client) -> None:
    client = opened(served, LOCKED)
    answer = client.get("/api/run", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert client.get("/api/tasks").status_code == 200  # by the session's cookie


def test_a_mistake_of_the_program_holds_no_value(
    served: Served, opened: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(request: Request) -> Response:
        raise RuntimeError("patient Jane Doe")

    monkeypatch.setattr("m3h.serve.pages.upload", broken)
    answer = opened(served).get("/upload")
    assert answer.status_code == 500 and "Jane" not in answer.text and "Traceback" not in answer.text
    assert answer.headers["content-security-policy"] == CSP
    said = capsys.readouterr().err
    assert "RuntimeError at test_guard.py:" in said and "Jane" not in said
