"""How fast notes and chest images are encoded, and what each measure gains.

usage: python benchmarks/encoder_speed.py [--patients 14] [--rounds 3]

Notes of the simulated hospital (its radiology source, as samples share it) through a BERT of the published size with
random numbers; its images through a DenseNet-121 of the published size. Side by side, round by round:

one by one    each sample encodes its own notes or images, one at a time, as HAIM's notebooks do: with transformers or
              TorchXRayVision alone, on all cores
+ once        each distinct chunk or image only once, still one at a time on all cores
+ batches     chunks of like length together, images and batches each on a core of its own: this project's float32
+ bfloat16    this project with precision = "bfloat16"; left out where the processor has no instructions for it

Speeds are notes or images, as the samples have them, per second. Writes encoder_speed.csv with medians over the rounds.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from m3h.core.errors import SettingError
from m3h.encoders.densenet import DenseNet121Chex, make_network, read_pixels
from m3h.encoders.notes import ClinicalBert
from m3h.encoders.surroundings import around
from m3h.encoders.transformer import WordPieces
from m3h.encoders.transformer import make_network as make_bert
from m3h.encoders.weights import store
from m3h.encoders.weights.catalog import MODELS
from m3h.hospital.inputs import read_source
from m3h.hospital.mimic.build import make_study
from m3h.hospital.samples import read_samples
from m3h.hospital.simulate.hospital import simulate
from m3h.hospital.sources import Images, Texts
from m3h.hospital.tables import Tables
from m3h.study.spec import Study

RESULTS = Path(__file__).parents[1] / "docs" / "results"
HEAD = [
    "input",
    "inputs of samples",
    "distinct",
    "each used",
    "way",
    "per second",
    "of one by one",
    "largest difference",
]
BERT = {"vocab_size": 28996, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
BERT |= {"intermediate_size": 3072, "max_position_embeddings": 512}


def randomised(network: Any, seed: int) -> dict[str, torch.Tensor]:
    """Random numbers for an architecture, of a size that keeps signals alive through all layers."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_var", "norm.weight", "LayerNorm.weight")) or (
            tensor.dim() == 1 and "weight" in name
        ):
            tensors[name] = torch.ones(tensor.shape)
        elif tensor.dim() > 1:
            fan = tensor[0].numel()
            tensors[name] = torch.randn(tensor.shape, generator=generator) * (2 / fan) ** 0.5
        else:
            tensors[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
    return tensors


def write_weights(place: Path, words: list[str]) -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words][: BERT["vocab_size"]]
    vocabulary += [f"[unused{number}]" for number in range(BERT["vocab_size"] - len(vocabulary))]
    bert = randomised(make_bert(BERT, "pooler"), 0)
    bert["embeddings.word_embeddings.weight"] = torch.randn(BERT["vocab_size"], 768) * 0.05
    store.write(place, "clinicalbert", bert, BERT, vocabulary="\n".join(vocabulary))
    config = MODELS["densenet121-chex"].config
    store.write(place, "densenet121-chex", randomised(make_network(config), 1), config)


def notes_alone(texts: Texts, *, once: bool) -> np.ndarray:
    """Chunks by transformers, one at a time; with ``once`` a text that was read is not read again."""
    weights = store.require("clinicalbert")
    pieces, network = WordPieces(weights, lower=False), make_bert(BERT, "pooler")
    network.load_state_dict(store.load(weights)[0], assign=True, strict=False)
    for name, buffer in dict(network.named_buffers()).items():
        module, _, own = name.rpartition(".")
        value = (
            torch.arange(buffer.shape[-1])[None] if own == "position_ids" else torch.zeros_like(buffer, device="cpu")
        )
        network.get_submodule(module).register_buffer(own, value, persistent=False)
    network.eval()
    kept: dict[str, torch.Tensor] = {}
    rows = []
    with torch.inference_mode():
        for some in texts.texts:
            for text in some:
                if text not in kept:
                    ids = [token for line in next(pieces.lines([text])) for token in line][:510]
                    whole = torch.tensor([[pieces.first, *ids, pieces.last]])
                    kept[text] = network(input_ids=whole).pooler_output[0]
                rows.append(kept[text])
                if not once:
                    kept.clear()
    return torch.stack(rows).numpy()


def images_alone(images: Images, *, once: bool) -> np.ndarray:
    """Images by TorchXRayVision's features, one at a time."""
    tensors, config = store.load(store.require("densenet121-chex"))
    network = make_network(config)
    network.load_state_dict(tensors, assign=True, strict=False)
    network.eval()
    kept: dict[Path, torch.Tensor] = {}
    rows = []
    with torch.inference_mode():
        for some in images.paths:
            for path in some:
                if path not in kept:
                    kept[path] = network.features2(read_pixels(path, crop="none")[None])[0]
                rows.append(kept[path])
                if not once:
                    kept.clear()
    return torch.stack(rows).numpy()


def ours(make: Callable[[], Any], data: Any) -> np.ndarray:
    encoder = make()
    block = encoder.transform("source", data, encoder.fit(data, np.ones(data.samples, dtype=bool)))
    return block.values


def compared(
    what: str, data: Any, given: list[Any], ways: dict[str, Callable[[], np.ndarray]], rounds: int
) -> list[Any]:
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    values: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for way, encode in ways.items():
            begin = time.perf_counter()
            values[way] = encode()
            seconds[way].append(time.perf_counter() - begin)
    distinct = len(set(given))
    first = statistics.median(seconds["one by one"])
    lines = []
    for way, each in seconds.items():
        middle = statistics.median(each)
        reference = values["+ batches"] if way == "+ bfloat16" else None
        apart = "" if reference is None else f"{np.nanmax(abs(values[way] - reference)) / np.nanstd(reference):.3f} sd"
        lines.append([what, len(given), distinct, f"{len(given) / distinct:.1f}", way])
        lines[-1] += [f"{len(given) / middle:.1f}", f"{first / middle:.1f}", apart]
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=14)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "encoder_speed.csv")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        simulate(place / "hospital", patients=given.patients, seed=5, release="2.2", progress=lambda share: None)
        study = Study.read(make_study(place / "hospital", place / "study", encoders="paper").study)
        with Tables(study) as tables:
            samples = read_samples(tables, study)
            found = {source.name: source for source in study.sources}
            texts = read_source(tables, study, samples, found["radiology"])
            images = read_source(tables, study, samples, found["images_dense"])
        assert isinstance(texts, Texts)
        assert isinstance(images, Images)
        words = sorted({word for some in texts.texts for text in some for word in text.replace("\n", " ").split()})
        write_weights(place / "weights", words)
        with around(weights=place / "weights"):
            lines = compared(
                "notes", texts, [text for some in texts.texts for text in some],
                {
                    "one by one": lambda: notes_alone(texts, once=False),
                    "+ once": lambda: notes_alone(texts, once=True),
                    "+ batches": lambda: ours(ClinicalBert, texts),
                } | half(lambda: ClinicalBert(precision="bfloat16"), texts),
                given.rounds,
            )  # fmt: skip
            lines += compared(
                "images", images, [path for some in images.paths for path in some],
                {
                    "one by one": lambda: images_alone(images, once=False),
                    "+ once": lambda: images_alone(images, once=True),
                    "+ batches": lambda: ours(lambda: DenseNet121Chex(aggregate="mean"), images),
                } | half(lambda: DenseNet121Chex(aggregate="mean", precision="bfloat16"), images),
                given.rounds,
            )  # fmt: skip
    with given.out.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([HEAD, *lines])


def half(make: Callable[[], Any], data: Any) -> dict[str, Callable[[], np.ndarray]]:
    try:
        make()
    except SettingError as error:
        print(error)
        return {}
    return {"+ bfloat16": lambda: ours(make, data)}


if __name__ == "__main__":
    main()
