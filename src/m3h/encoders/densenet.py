"""Vision: chest images seen by a frozen DenseNet, each distinct image once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from m3h.encoders import chunks
from m3h.encoders.at_once import Precision, in_order
from m3h.encoders.block import Block, EncoderState
from m3h.encoders.chunks import Profile
from m3h.encoders.embeddings import Vector, embedded
from m3h.encoders.frozen import Frozen
from m3h.encoders.surroundings import Device, now
from m3h.encoders.vision import read_grey, refusing_bombs
from m3h.encoders.weights import store
from m3h.encoders.weights.store import Weights
from m3h.hospital.sources import Images

Crop = Literal["none", "center"]
#: Pixels a side.
SIZE = 224
#: What the last layer tells, in its order.
FINDINGS = (
    *("Atelectasis", "Consolidation", "Infiltration", "Pneumothorax", "Edema", "Emphysema", "Fibrosis", "Effusion"),
    *("Pneumonia", "Pleural_Thickening", "Cardiomegaly", "Nodule", "Mass", "Hernia", "Lung Lesion", "Fracture"),
    *("Lung Opacity", "Enlarged Cardiomediastinum"),
)
#: Images between two writings into the cache of embeddings, and of one batch on another device than the processor,
#: where one after the other is as fast.
_PIECE, _BATCH = 16, 64


@dataclass(frozen=True)
class DenseNet121Chex(Frozen):
    """DenseNet-121 trained on CheXpert (TorchXRayVision, Cohen et al. 2022).

    ``output`` "dense": 1,024 numbers an image, its last feature maps (ReLU, mean over places), columns
    "densenet121-chex1" ...; "predictions": 18 columns, each the chance of a finding after the published calibration of
    its operating point (0.5 there; always 0.5 for the seven findings these weights were not trained for).
    ``aggregate`` "newest": the sample's newest image; "mean": the mean over all its images, weighted from 0.001 for
    the oldest to 1.001 for the newest, linear in time. ``profile`` "haim": weights from 0 to 1, so zeros where all
    images are of one moment, as HAIM-MIMIC-MM was computed. ``crop`` "center" cuts the middle square before resizing,
    which is how the weights were trained; "none" keeps the columns comparable with HAIM-MIMIC-MM.

    An image is read as 8-bit grey, brought to 224 x 224 pixels (bilinear, from the four nearest pixels) and scaled to
    -1024 ... 1024. A sample with an image that does not open, is truncated, is no image or is larger than Pillow's
    limit against decompression bombs is absent, and its row in ``Block.unreadable``. Errors: WeightsError where the
    weights are not on this machine.
    """

    name: ClassVar[str] = "densenet121-chex"

    output: Literal["dense", "predictions"] = "dense"
    aggregate: Literal["newest", "mean"] = "newest"
    profile: Profile = "strict"
    crop: Crop = "none"

    def _reading(self) -> dict[str, Any]:
        return {"crop": self.crop}

    def transform(self, source: str, data: Images, state: EncoderState) -> Block:
        """Encode all samples. Errors: WeightsError where weights are missing, damaged or others than in training."""
        weights = self._weights_of(state)
        wanted = [paths[-1:] if self.aggregate == "newest" else paths for paths in data.paths]
        keys = _hashed(list(dict.fromkeys(path for paths in wanted for path in paths)))
        files = {key: path for path, key in keys.items() if key is not None}
        places = {key: place for place, key in enumerate(files)}
        features = features_of(store.described(weights))
        with refusing_bombs():
            vectors = embedded(
                self.identity,
                list(places),
                features + len(FINDINGS),
                source,
                lambda missing: self._see(weights, list(files.values()), missing),
            )
        columns = vectors[:, :features] if self.output == "dense" else vectors[:, features:]
        values = np.full((data.samples, columns.shape[1]), np.nan, dtype=np.float32)
        unreadable = []
        for row, paths in enumerate(wanted):
            seen = [places.get(keys[path] or b"") for path in paths]
            found = [place for place in seen if place is not None and not np.isnan(columns[place]).any()]
            if len(found) < len(paths):
                unreadable.append(row)
            elif found:
                values[row] = self._mean(columns[found], data.times[row])
        present = np.asarray(~np.isnan(values).all(axis=1), dtype=np.bool_)
        return Block(source, "vision", values, present, *self._columns(features), tuple(unreadable))

    def _mean(self, rows: Vector, times: Sequence[float]) -> Vector:
        if self.aggregate == "newest":
            newest: Vector = rows[0]
            return newest
        weigh = {"strict": chunks.images_strict, "haim": chunks.images_haim}[self.profile]
        return chunks.weighted_mean(rows, weigh(times))

    def _columns(self, features: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        dense = tuple(f"{self.name}{index + 1}" for index in range(features))
        names = dense if self.output == "dense" else FINDINGS
        return names, ("",) * len(names)

    def _see(
        self, weights: Weights, files: Sequence[Path], places: Sequence[int]
    ) -> Iterator[list[tuple[int, Vector]]]:
        """The vectors of the images at ``places``, some at a time, without those that cannot be read."""
        device = now().device
        eye = open_eye(weights, self.precision, device)
        read = partial(read_pixels, crop=self.crop)
        piece: list[tuple[int, Vector]] = []
        if device == "cpu":
            alone = in_order(lambda place: eye.see([read(files[place])]), places)
            found: Iterator[tuple[int, Vector | None]] = zip(places, (rows[0] for rows in alone), strict=True)
        else:
            found = eye.far(places, in_order(lambda place: read(files[place]), places))
        for place, vector in found:
            if vector is not None:
                piece.append((place, vector))
            if len(piece) == _PIECE:
                yield piece
                piece = []
        yield piece


class Eye:
    """A frozen DenseNet on a device."""

    def __init__(self, network: Any, thresholds: Tensor, weights: Weights, precision: Precision, device: Device):
        self.network = network.eval().to(device, memory_format=torch.channels_last)  # half as long on a processor
        self.thresholds = thresholds.to(device)
        self.weights, self.precision, self.device = weights, precision, device

    def see(self, pixels: Sequence[Tensor | None]) -> list[Vector | None]:
        """For each image (1, 224, 224) its features and chances of findings as one vector; None for None."""
        readable = [image for image in pixels if image is not None]
        rows = iter(self._forward(torch.stack(readable)) if readable else ())
        return [None if image is None else next(rows) for image in pixels]

    def far(self, places: Sequence[int], pixels: Iterator[Tensor | None]) -> Iterator[tuple[int, Vector | None]]:
        """Places with what :meth:`see` gives, a batch of images at a time."""
        for at in range(0, len(places), _BATCH):
            some = places[at : at + _BATCH]
            with torch.inference_mode():
                rows = self.see([next(pixels) for _ in some])
            yield from zip(some, rows, strict=True)

    def _forward(self, pixels: Tensor) -> Vector:
        images = pixels.to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16"):
            maps = self.network.features(images)
        # mean over places, after the cut at 0
        dense = torch.relu(maps.float()).mean(dim=(2, 3))
        chances = calibrated(torch.sigmoid(self.network.classifier(dense)), self.thresholds)
        found = torch.cat([dense, chances], dim=1).cpu()
        if not torch.isfinite(found).all():
            raise store.unfit(self.weights, "the network gives numbers that are not finite")
        return np.ascontiguousarray(found.numpy())


def calibrated(chances: Tensor, thresholds: Tensor) -> Tensor:
    """Chances (image, finding) with each finding's threshold at 0.5, straight lines to 0 and 1; 0.5 where it is NaN."""
    below = chances / (2 * thresholds)
    above = 1 - (1 - chances) / (2 * (1 - thresholds))
    return torch.where(torch.isnan(thresholds), 0.5, torch.where(chances < thresholds, below, above))


def open_eye(weights: Weights, precision: Precision, device: Device) -> Eye:
    """The network of a weights folder, checked against its SHA-256. Errors: WeightsError where it does not fit."""
    tensors, config = store.load(weights)
    network = make_network(config)
    # buffers of the published file that are no part of the architecture
    usable = {name: tensor for name, tensor in tensors.items() if name in set(network.state_dict())}
    thresholds = [float("nan") if value is None else float(value) for value in config.get("thresholds", ())]
    try:
        network.load_state_dict(usable, strict=True, assign=True)
    except RuntimeError as error:
        raise store.unfit(weights, f"{store.TENSORS} does not fit {store.CONFIG}") from error
    if len(thresholds) != len(FINDINGS):
        raise store.unfit(weights, f"{store.CONFIG} needs {len(FINDINGS)} thresholds")
    return Eye(network, torch.tensor(thresholds), weights, precision, device)


def make_network(config: Mapping[str, Any]) -> Any:
    """The architecture that a configuration describes, without numbers (on the meta device)."""
    from torchxrayvision.models import DenseNet

    shape = ("growth_rate", "block_config", "num_init_features", "bn_size")
    with torch.device("meta"):
        # without a name of weights the library neither downloads nor unpickles
        return DenseNet(**{key: config[key] for key in shape}, num_classes=len(FINDINGS), weights=None)


def features_of(config: Mapping[str, Any]) -> int:
    """Channels of the last feature maps of a DenseNet: each layer adds some, each transition halves them."""
    width, blocks = int(config["num_init_features"]), list(config["block_config"])
    for number, layers in enumerate(blocks):
        width += int(config["growth_rate"]) * int(layers)
        width = width if number == len(blocks) - 1 else width // 2
    return width


def read_pixels(path: Path, *, crop: Crop) -> Tensor | None:
    """An image as the network reads it, float32 (1, 224, 224); None if it cannot be read."""
    try:
        grey = torch.from_numpy(read_grey(path))
    # decoders meet broken files with errors of any kind; each means the same, and the row is reported
    except Exception:
        return None
    if crop == "center":
        height, width = grey.shape
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        grey = grey[top : top + side, left : left + side]
    small = torch.nn.functional.interpolate(grey[None, None] * 255, (SIZE, SIZE), mode="bilinear", align_corners=False)
    pixels: Tensor = (2 * torch.round(small[0]) / 255 - 1) * 1024
    return pixels


def _hashed(paths: Sequence[Path]) -> dict[Path, bytes | None]:
    """The SHA-256 of each file; None for one that cannot be read."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return dict(zip(paths, pool.map(_hash, paths), strict=True))


def _hash(path: Path) -> bytes | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return None
