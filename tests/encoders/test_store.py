"""Weights in a folder: written whole, known by their SHA-256, and what is told where they are missing."""

import hashlib
import json

import numpy as np
import pytest
import torch

from m3h.core.errors import WeightsError
from m3h.encoders.cache import encode
from m3h.encoders.surroundings import around
from m3h.encoders.weights import store
from m3h.study.spec import Source
from pretrained import write_bert, write_densenet


@pytest.fixture(autouse=True)
def no_weights_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("modality", "name", "instead"), [("language", "clinicalbert", "tfidf"), ("vision", "densenet121-chex", "hog")]
)
def test_missing_weights_are_told_before_anything_is_read(modality, name, instead, tmp_path):
    source = Source(name="input", modality=modality, encoder=name)

    def read():
        raise AssertionError("data were read")

    with around(weights=tmp_path / "given"), pytest.raises(WeightsError) as caught:
        encode(source, read, None, key="", cache=tmp_path / "cache")
    message = str(caught.value)
    assert f'encoder "{name}": the pretrained weights' in message
    assert f"{name}/weights.json in {tmp_path / 'given'} or {tmp_path / 'home' / 'm3h' / 'weights'}" in message
    assert f"m3h weights --fetch {name} where there is internet" in message
    assert "--weights DIR" in message
    assert f'set encoder = "{instead}" in the [[source]] of modality "{modality}"; it works without weights' in message
    assert not (tmp_path / "cache").exists()


def test_what_is_written_is_read_again_and_known_by_its_hashes(tmp_path):
    written = write_densenet(tmp_path)
    with around(weights=tmp_path):
        found = store.require("densenet121-chex")
    assert found == written
    record = json.loads((found.folder / "weights.json").read_text())
    assert record["licence"] == "Apache-2.0"
    for name in ("model.safetensors", "config.json"):
        assert found.hashes[name] == hashlib.sha256((found.folder / name).read_bytes()).hexdigest()
    tensors, config = store.load(found)
    assert tensors["features.conv0.weight"].shape == (8, 1, 7, 7)
    assert config["growth_rate"] == 4
    assert found.size == sum((found.folder / name).stat().st_size for name in found.hashes)


def test_equal_weights_are_equal_bytes_and_others_are_others(tmp_path):
    one, same, other = (write_bert(tmp_path / str(n), seed=seed, width=24) for n, seed in enumerate((0, 0, 1)))
    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.txt"])
def test_a_changed_file_is_refused(name, tmp_path):
    found = write_bert(tmp_path, width=24)
    path = found.folder / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not the file whose SHA-256 was recorded") as caught:
        store.load(found)
    assert "m3h weights --fetch clinicalbert" in str(caught.value)
    path.unlink()
    with pytest.raises(WeightsError, match="missing, damaged"):
        store.load(found)


@pytest.mark.parametrize(
    "record", ["", "[]", '{"format": 2, "name": "clinicalbert", "files": {}}', '{"format": 1, "name": "minilm"}']
)
def test_a_record_that_is_none_is_refused(record, tmp_path):
    found = write_bert(tmp_path, width=24)
    (found.folder / "weights.json").write_text(record)
    with around(weights=tmp_path), pytest.raises(WeightsError, match="missing, damaged"):
        store.require("clinicalbert")


def test_a_record_cannot_name_files_elsewhere(tmp_path):
    found = write_bert(tmp_path, width=24)
    record = json.loads((found.folder / "weights.json").read_text())
    record["files"]["../secret"] = "0" * 64
    (found.folder / "weights.json").write_text(json.dumps(record))
    with around(weights=tmp_path), pytest.raises(WeightsError):
        store.require("clinicalbert")


def test_writing_that_fails_leaves_what_was_there(tmp_path):
    before = write_densenet(tmp_path)

    class Broken(dict):
        def items(self):
            raise RuntimeError("no more")

        def __iter__(self):
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        store.write(tmp_path, "densenet121-chex", Broken(one=torch.zeros(1)), {})
    with around(weights=tmp_path):
        assert store.require("densenet121-chex").fingerprint == before.fingerprint
    assert [item.name for item in tmp_path.iterdir()] == ["densenet121-chex"]


def test_the_block_cache_knows_the_weights(tmp_path):
    from m3h.hospital.sources import Texts

    texts = Texts((("heart is clear",), ("no pain",)), ((-1.0,), (-1.0,)))
    source = Source(name="notes", modality="language", encoder="clinicalbert")
    train = np.ones(2, dtype=bool)
    blocks = []
    for seed in (0, 1, 0):
        place = tmp_path / str(seed)
        write_bert(place, seed=seed, width=24)
        with around(weights=place):
            blocks.append(encode(source, lambda: texts, train, key="k", cache=tmp_path / "cache"))
    assert [one.cached for one in blocks] == [False, False, True]
    assert blocks[0].block.values.tobytes() == blocks[2].block.values.tobytes() != blocks[1].block.values.tobytes()
