"""Tables that are sent: what is read of them, and what of the rest is refused, in words that name nobody."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from m3h.serve.limits import Limits
from m3h.serve.served import Served
from serve.sending import OWN, Client, Made, zipped

SECRET = "Ms-Jane-Doe-1961"


def send(client: TestClient, name: str, content: bytes) -> tuple[int, dict[str, str]]:
    """Send a file to the API; the status and the answer."""
    answer = client.post("/api/predict", files={"file": (name, content)})
    return answer.status_code, answer.json()


def csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()


def parquet(frame: pl.DataFrame) -> bytes:
    written = io.BytesIO()
    frame.write_parquet(written)
    return written.getvalue()


@pytest.fixture
def samples(made: Made) -> pl.DataFrame:
    return pl.read_csv(made.data / "samples.csv").drop("died", "outcome", "days")


def test_a_zip_of_the_study_gives_what_predict_gives(
    client: TestClient, served: Served, made: Made, folder_zip: bytes
) -> None:
    status, answer = send(client, "all.zip", folder_zip)
    expected = served.model.model.predict(made.data)
    assert status == 200 and (answer["samples"], answer["patients"], answer["notes"]) == (60, 40, [])
    assert pl.DataFrame(answer["predictions"], schema=expected.schema).equals(expected)
    text = client.get("/api/predictions.csv?of=upload").text
    assert text == expected.write_csv() == client.get("/forecasts.csv?of=upload").text


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".CSV"])
def test_one_table_of_any_kind(suffix: str, client: TestClient, samples: pl.DataFrame) -> None:
    make: dict[str, Callable[[pl.DataFrame], bytes]] = {
        ".csv": csv,
        ".csv.gz": lambda frame: gzip.compress(csv(frame)),
        ".parquet": parquet,
    }
    status, answer = send(client, f"../../anything{suffix}", make[suffix.lower()](samples))
    assert status == 200 and answer["samples"] == 60
    assert any(note.startswith("Not known of anybody: vitals") for note in answer["notes"])


def folder_of(client: TestClient) -> Path:
    """The private folder of a server."""
    found: Path = client.app.state.served.store.folder  # type: ignore[attr-defined]
    return found


def test_nothing_stays_on_disk(client: TestClient, samples: pl.DataFrame) -> None:
    send(client, "a.csv", csv(samples))
    send(client, "a.csv", b"no table")
    send(client, "a.zip", b"no zip")
    assert folder_of(client).stat().st_mode & 0o777 == 0o700
    assert list(folder_of(client).iterdir()) == []


def test_the_folder_vanishes_with_the_server(bare: Served, opened: Client) -> None:
    with opened(bare, limits=Limits()) as client:
        folder = folder_of(client)
        assert folder.is_dir() and client.get("/").status_code == 200
    assert not folder.exists()


NO_TABLE: dict[str, bytes] = {
    "empty.csv": b"\n",
    "binary.csv": bytes(range(256)) * 40,
    "nul.csv": b"visit,patient,hour,age\n1,2,3,\0\n",
    "latin.csv": f"visit,patient,hour,age\n{SECRET}é,2,3,4\n".encode("latin-1"),
    "ragged.csv": f"visit,patient,hour,age\n{SECRET},2,3,4,5,6\n".encode(),
    "quote.csv": f'visit,patient,hour,age\n"{SECRET},2,3,4\n'.encode(),
    "headless.csv": f"{SECRET},63,f\nanother,64,m\n".encode(),
    "twice.csv": f"visit,patient,hour,age\n{SECRET},2,3,4\n{SECRET},2,3,4\n".encode(),
    "text.csv": f"visit,patient,hour,age\n1,2,3,{SECRET}\n".encode(),
    "infinite.csv": b"visit,patient,hour,age\n1,2,3,inf\n",
    "huge.csv": b"visit,patient,hour,age\n1,2,3,1e300\n",
    "time.csv": f"visit,patient,hour,age\n1,2,{SECRET},4\n".encode(),
    "class.csv": f"visit,patient,hour,age,died\n1,2,3,4,{SECRET}\n".encode(),
    "nobody.csv": b"visit,patient,hour,age\n1,2,3,\n",
    "rowless.csv": b"visit,patient,hour,age\n",
    "wide.csv": (",".join(f"c{number}" for number in range(1000)) + "\n").encode(),
    "cut.csv.gz": gzip.compress(b"visit,patient,hour,age\n1,2,3,4\n" * 50)[:60],
    "cut.parquet": b"PAR1 and nothing more PAR1",
    "no.zip": b"PK\x03\x04",
    "in.zip": zipped({"samples.csv": f"visit,patient,hour,age\n1,2,3,{SECRET}\n".encode()}),
    "without.zip": zipped({"vitals.csv": b"visit,hour,signal,value\n"}),
    "cut.zip": zipped({"samples.parquet": b"PAR1"}),
}


@pytest.mark.parametrize("name", NO_TABLE)
def test_what_is_no_table_of_the_study_is_refused_in_words(name: str, client: TestClient, served: Served) -> None:
    status, answer = send(client, name, NO_TABLE[name])
    text = json.dumps(answer)
    assert status == 422 and answer["error"], text
    for told in (SECRET, "Traceback", str(folder_of(client)), "/tmp", str(served.run)):
        assert told not in text
    page = client.post("/upload", files={"file": (name, NO_TABLE[name])}, headers=OWN)
    assert page.status_code == 422 and 'role="alert"' in page.text
    assert SECRET not in page.text and "/tmp" not in page.text


@pytest.mark.parametrize("name", ["a.txt", "a.xlsx", "a", ".csv.exe", "study.toml", "a.pkl", "a.sql"])
def test_other_kinds_of_file(name: str, client: TestClient) -> None:
    status, answer = send(client, name, b"x")
    assert status == 415 and ".parquet" in answer["expected"]


def test_a_form_without_a_file(client: TestClient) -> None:
    for answer in (
        client.post("/api/predict", files={"other": ("a.csv", b"x")}),
        client.post("/api/predict", files={"file": ("a.csv", b"")}),
    ):
        assert answer.status_code == 422 and answer.json()["error"] == "no file was sent"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary="):
        answer = client.post("/api/predict", content=b"x", headers={"content-type": kind})
        assert answer.status_code in (400, 415, 422)


def test_what_is_too_large(bare: Served, opened: Client, samples: pl.DataFrame) -> None:
    small = opened(bare, limits=Limits(body=10_000, unpacked=50_000, rows=50, json_body=100, json_rows=2))
    whole = {"file": ("a.csv", b"x" * 20_000)}
    assert small.post("/api/predict", files=whole).json()["error"] == "what was sent is too large"
    page = small.post("/upload", files=whole, headers=OWN)
    assert page.status_code == 413 and "too large" in page.text
    packed = gzip.compress(b"visit,patient,hour\n" + b"1,2,3\n" * 20_000)
    for name, content in (("a.csv.gz", packed), ("a.parquet", parquet(samples.select("visit", "patient", "hour")))):
        status, answer = send(small, name, content)
        assert status == 413, answer
    for body in ({"rows": [{"age": 1}] * 3}, {"rows": [{"age": 1}], "more": "x" * 200}):
        assert small.post("/api/predict", json=body).status_code == 413


def test_text_cells_are_escaped(client: TestClient, samples: pl.DataFrame) -> None:
    script = "<script>alert(1)</script>"
    named = samples.head(3).with_columns(
        visit=pl.Series([f"{script}{number}" for number in range(3)]), patient=pl.lit('"><img src=x onerror=alert(2)>')
    )
    answer = client.post("/upload", files={"file": ("a.csv", csv(named))}, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/patients?of=upload")
    listed = client.get("/patients?of=upload").text
    pages = [listed, *(client.get(f"/patients/{number}?of=upload").text for number in (1, 2, 3))]
    for page in pages:
        assert "&lt;script&gt;" in page and script not in page and "<img" not in page
    for text in (script, '"><img src=x onerror=alert(2)>'):
        echoed = client.get("/patients", params={"task": text, "of": "upload"}).text
        assert text not in echoed


def test_rows_in_json(tabular: Served, opened: Client, table: Made, tmp_path: Path) -> None:
    client = opened(tabular)
    rows = [{"age": 63.5, "ward": "surgery"}, {"age": None, "ward": "heart"}, {"age": "70"}, {"ward": "an unknown one"}]
    answer = client.post("/api/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    frame = pl.DataFrame(
        {
            "visit": [f"{number:05d}" for number in range(1, 5)],
            "patient": [f"{number:05d}" for number in range(1, 5)],
            "hour": [0, 0, 0, 0],
            "age": [63.5, None, 70.0, None],
            "ward": ["surgery", "heart", None, "an unknown one"],
        }
    )
    frame.write_csv(tmp_path / "samples.csv")
    expected = tabular.model.model.predict(tmp_path / "samples.csv")
    assert pl.DataFrame(answer.json()["predictions"], schema=expected.schema).equals(expected)
    given = [{"age": 63.5, "visit": "mine", "patient": "me", "hour": 12}]
    first = client.post("/api/predict", json={"rows": given}).json()["predictions"][0]
    assert (first["sample"], first["patient"]) == ("mine", "me")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"rows": []}, "0 rows"),
        ({"rows": [{}]}, "row 1 is no object with columns"),
        ({"rows": [1]}, "row 1 is no object with columns"),
        ({"rows": "x"}, "no rows were sent"),
        ({"rows": [{"age": 1}], "more": 1}, "no rows were sent"),
        ({"rows": [{"age": [1]}]}, "row 1 holds a list or an object"),
        ({"rows": [{"aeg": 1}]}, 'column 1 of the rows is not one of the study; did you mean "age"'),
        ({"rows": [{SECRET: 1}]}, "column 1 of the rows is not one of the study; known are"),
        ({"rows": [{"age": SECRET}]}, "texts where numbers belong"),
        ({"rows": [{"ward": None}]}, "nothing is known of any patient"),
        ([1], "what was sent is no JSON object"),
    ],
)
def test_rows_that_do_not_fit(body: object, told: str, tabular: Served, opened: Client) -> None:
    answer = opened(tabular).post("/api/predict", json=body)
    assert answer.status_code == 422 and told in answer.json()["error"]
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff\xfe", b'{"rows": NaN}', b'{"rows": [{"age": 1' + b"0" * 5000 + b"}]}", b"[" * 100_000),
        b'{"rows": [{"ward": "\\ud800"}]}',
    ],
)
def test_what_is_not_json(body: bytes, tabular: Served, opened: Client) -> None:
    answer = opened(tabular).post("/api/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and answer.json()["error"] == "what was sent is not JSON"


@pytest.mark.parametrize("value", [1e400, -1e308, 10**400, True, "", "\0", "é" * 3000, "nan", "0x10", "1_000", " 5 "])
def test_strange_values_are_no_failure(value: object, tabular: Served, opened: Client) -> None:
    body = json.dumps({"rows": [{"age": value, "ward": "heart"}, {"ward": value, "age": 3}]}).replace(
        "Infinity", "1e999"
    )
    answer = opened(tabular).post("/api/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 422), answer.text
    numbers = [one["prediction"] for one in answer.json().get("predictions", [])]
    assert all(np.isfinite(numbers))
