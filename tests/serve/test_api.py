"""The API: its description is valid, its answers are as described, and nothing sent to it makes it fail."""

from __future__ import annotations

import json

import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from m3h.serve.served import Served
from serve.fuzz import Fuzz, report
from serve.sending import LOOPBACK, Client, Made


def test_the_description_is_valid(client: TestClient, tabular: Served, bare: Served, opened: Client) -> None:
    for one in (client, opened(tabular), opened(bare)):
        validate(one.get("/api/openapi.json").json())


def test_a_token_is_described(served: Served, opened: Client) -> None:
    from dataclasses import replace

    token = "a-token-of-many-letters"
    client = opened(served, replace(LOOPBACK, token=token))
    described = client.get("/api/openapi.json", headers={"authorization": f"Bearer {token}"}).json()
    validate(described)
    assert described["security"] == [{"token": []}, {"session": []}]


def test_every_address_is_described(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()["paths"]
    routes = {route.path.replace(":path", "") for route in client.app.routes if route.path.startswith("/api/")}  # type: ignore[attr-defined]
    assert set(described) == routes


def test_a_patient_from_the_list_to_an_edit(client: TestClient, served: Served) -> None:
    listed = client.get("/api/worklist", params={"task": "died", "size": 3}).json()
    assert served.cohort is not None and listed["total"] == len(served.cohort) and len(listed["rows"]) == 3
    first = listed["rows"][0]
    assert first["value"] >= listed["rows"][1]["value"] and first["percentile"] > 90
    found = client.get(f"/api/patients/{first['number']}").json()
    assert (found["sample"], found["patient"]) == (first["sample"], first["patient"])
    died = next(one for one in found["answers"] if one["task"] == "died")
    assert died["value"] == first["value"] and died["calibrated"]
    assert died["low"] <= died["value"] <= died["high"]
    driven = client.get(f"/api/patients/{first['number']}/drivers", params={"task": "died"}).json()
    for one in driven["drivers"]:
        assert one["said"] == pytest.approx(died["value"], abs=1e-6)
        assert one["change"] == pytest.approx(one["said"] - one["without"], abs=1e-9)
    changed = client.post(f"/api/patients/{first['number']}/what-if", json={"values": {"age": 20, "ward": None}}).json()
    after = next(one for one in changed["answers"] if one["task"] == "died")
    assert after["before"] == pytest.approx(died["value"], abs=1e-6)
    assert after["change"] == pytest.approx(after["after"] - after["before"], abs=1e-9)
    assert changed["values"] == {"age": 20.0, "ward": None}


def test_scores_are_those_of_the_tables(client: TestClient, made: Made) -> None:
    found = client.get("/api/run").json()
    assert (found["title"], found["preset"]) == ("Sixty visits of forty patients", "paper")
    assert [one["task"] for one in found["tasks"]] == ["died", "outcome", "days", "phenotype"]
    detail = client.get("/api/tasks/days").json()
    assert {one["metric"] for one in detail["scores"]} == {"r2", "mae"}
    assert sum(detail["distribution"]["counts"]) == found["cohort"]["samples"]
    assert [(one["source"], one["target"]) for one in detail["interactions"]] == [("died", "days"), ("days", "died")]
    assert sum(one["weight"] for one in detail["attention"]) == pytest.approx(1, abs=1e-5)
    everything = client.get("/api/interactions").json()
    assert len(everything["tim"]) == 2 and everything["tim"][0]["marked"] and len(everything["attention"]) == 16


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("get", "/api/nothing", None, 404),
        ("post", "/api/run", None, 405),
        ("get", "/api/tasks/none", None, 404),
        ("get", "/api/patients/999", None, 404),
        ("get", "/api/patients/x", None, 422),
        ("get", "/api/worklist?of=upload", None, 404),
        ("get", "/api/predictions.csv?of=upload", None, 404),
        ("post", "/api/patients/1/what-if", {"values": {}}, 422),
        ("post", "/api/patients/1/what-if", {"values": {"aeg": 1}}, 422),
        ("post", "/api/patients/1/what-if", {"values": {"age": [1]}}, 422),
        ("post", "/api/patients/1/what-if", {"values": {"age": 10**400}}, 422),
        ("post", "/api/patients/1/what-if", {"values": {"ward": "x" * 20_000}}, 422),
        ("post", "/api/patients/1/what-if", {"age": 1}, 422),
        ("post", "/api/patients/1/what-if", [], 422),
    ],
)
def test_what_cannot_be_had(method: str, path: str, body: object, status: int, client: TestClient) -> None:
    sent = {} if body is None else {"content": json.dumps(body), "headers": {"content-type": "application/json"}}
    answer = client.request(method, path, **sent)  # type: ignore[arg-type]
    assert answer.status_code == status and answer.json()["error"]


def test_an_upload_is_forgotten(client: TestClient) -> None:
    assert client.delete("/api/upload").json() == {"forgotten": False}
    assert client.post("/api/predict", json={"rows": [{"age": 63}]}).status_code == 200
    assert client.get("/api/worklist?of=upload").json()["total"] == 1
    assert client.get("/api/patients/1?of=upload").status_code == 200
    assert client.delete("/api/upload").json() == {"forgotten": True}
    assert client.get("/api/worklist?of=upload").status_code == 404


def test_nothing_sent_makes_it_fail(tabular: Served, table: Made, opened: Client) -> None:
    """``python tests/serve/fuzz.py`` does the same with as many requests as one likes."""
    found = Fuzz(opened(tabular), 1, (table.data / "samples.csv").read_bytes()).run(300)
    assert not found.wrong, report(found)
    print(report(found))
    assert all(share > 0.2 for share in found.shares().values()), report(found)
