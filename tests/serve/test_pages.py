"""What the pages show and do, without scripts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from starlette.testclient import TestClient

from m3h.serve.served import Served, load
from serve.fuzz import STRANGE
from serve.sending import OWN, Client, Made

PAGES = [
    "/",
    "/tasks/died",
    "/tasks/outcome",
    "/tasks/days",
    "/tasks/phenotype",
    "/patients",
    "/interactions",
    "/upload",
]


def page(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status and answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def words(text: str) -> str:
    """What a reader sees, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<wbr>", "", text)).split())


@pytest.mark.parametrize("path", [*PAGES, "/patients/3", "/login", "/nothing"])
def test_no_page_holds_a_script_a_style_or_an_address_of_elsewhere(path: str, client: TestClient) -> None:
    text = client.get(path).text
    assert not re.search(r"<script(?! src=\"/static/serve\.js\" defer></script>)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert set(re.findall(r"https?://[^\"<]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert '<html lang="en">' in text and text.count("<h1") == 1 and "<main" in text and "<title>" in text
    assert text.count("<table") == text.count("<caption>")


def test_the_run_at_a_glance(client: TestClient, made: Made) -> None:
    told = words(page(client, "/"))
    scores = pl.read_csv(made.run / "scores.csv").filter(pl.col("metric") == "auroc", pl.col("role") == "joint")
    assert "Sixty visits of forty patients" in told and "40 patients 60 samples 4 sources 4 questions" in told
    assert f"{scores['value'][0]:.3f}" in told and "LightGBM" in told and "The full report" in told
    assert client.get("/report").content == (made.run / "report.html").read_bytes()


def test_a_run_without_a_report_or_patients(made: Made, tmp_path: Path, opened: Client) -> None:
    copy = Path(shutil.copytree(made.run, tmp_path / "run"))
    for name in ("report.html", "predictions.parquet", "tim.csv", "attention.csv"):
        (copy / name).unlink()
    client = opened(load(copy))
    assert "The full report" not in page(client, "/")
    assert "m3h report writes it" in page(client, "/report", 404)
    assert "the run kept no predictions of its test patients" in page(client, "/patients", 404)
    assert "<svg" not in page(client, "/tasks/died")
    assert "This run measured no interactions" in page(client, "/interactions")


def test_a_task(client: TestClient) -> None:
    told = words(page(client, "/tasks/died"))
    for part in ("AUROC", "AUPRC", "Brier score", "lower", "Paired differences", "▲ +0.012", "Whose answers"):
        assert part in told
    assert 'aria-label="Distribution of' in page(client, "/tasks/died")
    for name in ("dead", "a/b", "%00", "%3Cscript%3E", "died/"):
        assert "the model knows no such task" in page(client, f"/tasks/{name}", 404)


def test_interactions_tell_each_cell(client: TestClient) -> None:
    text = page(client, "/interactions")
    assert 'data-told="days added to died: +0.012 in AUROC (+0.004 to +0.020), false-discovery rate 0.010' in text
    assert "asks" in text and "Mean attention over the test patients" in text


def test_the_work_list_is_ranked_and_leads_to_patients(client: TestClient, served: Served) -> None:
    text = page(client, "/patients?task=died&size=5")
    assert served.cohort is not None
    order = served.cohort.answers["died"].argsort()[::-1]
    rows = re.findall(r'<a href="(/patients/[0-9]+\?of=run&amp;task=died)">([^<]+)</a>', text)
    assert [name for _, name in rows] == [str(served.cohort.ids[row]) for row in order[:5]]
    for address, name in rows:
        assert f"<h1>Sample {name}</h1>" in page(client, address.replace("&amp;", "&"))
        assert name not in address
    second = page(client, "/patients?task=died&size=5&page=2")
    assert str(served.cohort.ids[order[5]]) in second and "Page 2 of" in second
    rising = page(client, "/patients?task=died&size=5&order=asc")
    assert str(served.cohort.ids[order[-1]]) in rising and 'aria-sort="ascending"' in rising
    assert "No sample on this page" in page(client, "/patients?page=999")


def test_a_class_of_several_is_chosen(client: TestClient) -> None:
    text = page(client, "/patients?task=outcome&class=rehab")
    assert "Probability of rehab" in text and "Most likely" in text
    assert "no such class" in page(client, "/patients?task=outcome&class=nowhere", 404)
    assert "Group" in page(client, "/patients?task=phenotype")
    assert " days" in words(page(client, "/patients?task=days"))


@pytest.mark.parametrize(
    "query",
    [
        *("page=0", "page=-1", "page=x", "page=" + "9" * 5000, "size=0", "size=501", "sort=age", "order=up", "of=them"),
        *("task=died&class=x", "page=1.5", "size=%00", "page=%D9%A1"),
    ],
)
def test_what_no_work_list_has(query: str, client: TestClient) -> None:
    assert page(client, f"/patients?{query}", 422)


@pytest.mark.parametrize("number", ["0", "999", "-1", "x", "1.0", "9" * 5000, "%00", "%2e%2e%2fx", "1%2F2"])
def test_nobody_has_this_number(number: str, client: TestClient) -> None:
    assert client.get(f"/patients/{number}").status_code in (404, 422)
    assert client.post(f"/patients/{number}", data={"c0": "3"}, headers=OWN).status_code in (404, 422, 405)


def test_numbers_of_another_session_lead_elsewhere(served: Served, opened: Client) -> None:
    seen = {
        tuple(
            re.findall(r"<h1>Sample ([^<]+)</h1>", client.get(f"/patients/{number}").text)[0] for number in range(1, 8)
        )
        for client in (opened(served) for _ in range(4))
    }
    assert len(seen) > 1


def test_a_patient_of_whom_the_run_kept_no_input(bare: Served, opened: Client) -> None:
    client = opened(bare)
    text = page(client, "/patients/1")
    assert "The run keeps what was said of its test patients, and not their inputs" in text
    assert "What would change it" not in text
    answer = client.post("/patients/1", data={"c0": "3"}, headers=OWN)
    assert answer.status_code == 422 and "not their inputs" in answer.text


def field(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" inputmode="decimal" autocomplete="off" value="([^"]*)"', text)
    assert found is not None
    return found.group(1)


def test_what_an_edit_changes(client: TestClient, served: Served) -> None:
    text = page(client, "/patients/2?task=days")
    assert "If this were not known, the answer would be" in text and "What drives days" in text
    chosen = re.findall(r'<option value="([a-z]*)" selected>', text)
    answer = client.post("/patients/2?task=days", data={"c0": "12", "c1": chosen[-1] if chosen else ""}, headers=OWN)
    told = words(answer.text)
    assert answer.status_code == 200 and "Changed: age to 12 ." in told.replace("12.", "12 .")
    assert "ward to" not in told and "Before" in told and field(answer.text, "c0") == "12"
    emptied = client.post("/patients/2?task=days", data={"c0": "", "c1": "unknown"}, headers=OWN)
    assert "ward to unknown" in words(emptied.text)


def test_an_edit_that_does_not_fit_is_told_beside_the_form(client: TestClient) -> None:
    for value, told in (("old", "not a number"), ("1e999", "not a number"), ("<b>", "not a number")):
        answer = client.post("/patients/2", data={"c0": value}, headers=OWN)
        assert answer.status_code == 422 and told in answer.text and "<b>" not in answer.text.replace("<b>40", "")
    answer = client.post("/patients/2", data={"c1": "cellar"}, headers=OWN)
    assert answer.status_code == 422 and "heart, medicine, surgery, or unknown" in answer.text
    text = page(client, "/patients/2")
    same = client.post("/patients/2", data={"c0": field(text, "c0")}, headers=OWN)
    assert same.status_code == 422 and "nothing was changed" in same.text


def test_an_upload_is_listed_and_forgotten(client: TestClient, folder_zip: bytes) -> None:
    assert "no upload is kept for this session" in page(client, "/patients?of=upload", 404)
    sent = client.post("/upload", files={"file": ("tables.zip", folder_zip)}, headers=OWN)
    assert (sent.status_code, sent.headers["location"]) == (303, "/patients?of=upload")
    text = page(client, "/patients?of=upload")
    assert "Your upload: 60 samples" in text and "The run&#39;s" in text
    assert "What would change it" in page(client, "/patients/60?of=upload")
    assert "Forget it now" in page(client, "/upload")
    assert client.post("/forget", headers=OWN).status_code == 303
    page(client, "/patients?of=upload", 404)


def test_the_run_s_list_is_not_the_uploads(client: TestClient, served: Served) -> None:
    assert served.cohort is not None
    text = client.get("/forecasts.csv")
    assert text.headers["content-disposition"] == 'attachment; filename="forecasts.csv"'
    assert len(set(line.split(",")[0] for line in text.text.splitlines()[1:])) == len(served.cohort)


@pytest.mark.parametrize("value", [value for value in STRANGE if isinstance(value, str)])
def test_strange_questions_are_no_failure(value: str, client: TestClient) -> None:
    names = ("task", "class", "of", "sort", "order", "page", "size")
    for path, name in [*(("/patients", name) for name in names), ("/patients/1", "task"), ("/forecasts.csv", "of")]:
        answer = client.get(path, params={name: value, "size": "2"} | {name: value})
        assert answer.status_code in (200, 404, 422), (path, name)
        assert "<script>" not in answer.text
    for form in ({"c0": value}, {"c1": value}, {value: "1"}):
        assert client.post("/patients/1", data=form, headers=OWN).status_code in (200, 422)


def test_odd_headers_are_no_failure(client: TestClient) -> None:
    for headers in ({"origin": "http://["}, {"origin": "//"}, {"cookie": "m3h_session"}, {"cookie": "=;;="}):
        assert client.get("/", headers=headers).status_code == 200
        assert client.post("/forget", headers=headers).status_code == 403
    for kind in ("multipart/form-data", 'multipart/form-data; boundary="', "application/json", "", "a/b; charset=x"):
        for path in ("/upload", "/patients/1"):
            answer = client.post(path, content=b"--x\r\n", headers=OWN | {"content-type": kind})
            assert 400 <= answer.status_code < 500
