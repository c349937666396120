"""Encoders whose pretrained weights are not there say so before anything is read."""

import pytest

from m3h.core.errors import WeightsError
from m3h.encoders.cache import encode
from m3h.study.spec import Source


@pytest.mark.parametrize(
    ("modality", "name", "instead"), [("language", "clinicalbert", "tfidf"), ("vision", "densenet121-chex", "hog")]
)
def test_asking_for_pretrained_weights_names_the_encoder_that_needs_none(modality, name, instead, tmp_path):
    source = Source(name="input", modality=modality, encoder=name)

    def read():
        raise AssertionError("data were read")

    with pytest.raises(WeightsError) as caught:
        encode(source, read, None, key="", cache=tmp_path / "cache")
    message = str(caught.value)
    assert f'encoder "{name}": the pretrained weights' in message
    assert "not on this machine" in message
    assert "can neither fetch nor load" in message
    assert f'set encoder = "{instead}" in the [[source]] of modality "{modality}"' in message
    assert not (tmp_path / "cache").exists()
