"""Vision: histograms of oriented gradients and the distribution of brightness of a sample's newest image."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.feature import hog

from m3h.core.errors import SettingError
from m3h.encoders.block import Block, Bools, EncoderState, Floats
from m3h.encoders.options import require_at_least
from m3h.hospital.sources import Images

PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Hog:
    """Oriented gradients of the image at ``size`` x ``size`` pixels, and brightness statistics at its own size.

    Columns "hog.y.x.v.u.o": block in row y and column x, cell v, u in it, orientation o of ``orientations`` between 0
    and 180 degrees; cells of ``pixels_per_cell`` pixels, blocks of ``cells_per_block`` cells a side, each normalised.
    Then "intensity.mean", "intensity.sd" and percentiles as shares of full white, and "aspect_ratio" (width over
    height). Colour counts as its luminance; of several frames the first. Source: Dalal and Triggs 2005, as
    scikit-image computes it.

    A newest image that is missing, truncated, not an image, of a kind without a known white (floating point), or
    larger than Pillow's limit against decompression bombs leaves the sample absent, and its row is in
    ``Block.unreadable``; an older image never stands in for it. Learns nothing from the training rows.
    """

    version: ClassVar[int] = 1

    size: int = 128
    orientations: int = 8
    pixels_per_cell: int = 32
    cells_per_block: int = 1

    def __post_init__(self) -> None:
        require_at_least(
            1,
            orientations=self.orientations,
            pixels_per_cell=self.pixels_per_cell,
            cells_per_block=self.cells_per_block,
        )
        if self.size < self.pixels_per_cell * self.cells_per_block:
            raise SettingError(
                "options.size holds no block",
                got=str(self.size),
                expected="at least options.pixels_per_cell times options.cells_per_block, "
                f"{self.pixels_per_cell * self.cells_per_block}",
            )

    def fit(self, data: Images, rows: Bools) -> EncoderState:
        """Nothing is learnt."""
        return EncoderState()

    def transform(self, source: str, data: Images, state: EncoderState) -> Block:
        """Encode the newest image of all samples, some at a time, in their order."""
        names = self._names()
        values = np.full((data.samples, len(names)), np.nan, dtype=np.float32)
        present = np.zeros(data.samples, dtype=bool)
        unreadable = []
        rows = [row for row, paths in enumerate(data.paths) if paths]
        with refusing_bombs(), ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for row, numbers in zip(rows, pool.map(self._encode, [data.paths[row][-1] for row in rows]), strict=True):
                if numbers is None:
                    unreadable.append(row)
                else:
                    values[row] = numbers
                    present[row] = True
        units = tuple("of white" if name.startswith("intensity.") else "" for name in names)
        return Block(source, "vision", values, present, names, units, tuple(unreadable))

    def _encode(self, path: Path) -> Floats | None:
        """The columns of one image, float32 (width,); None if it cannot be read."""
        try:
            grey = read_grey(path)
        # decoders meet broken files with errors of any kind; each means the same, and the row is reported
        except Exception:
            return None
        small = Image.fromarray(grey).resize((self.size, self.size), Image.Resampling.BILINEAR)  # antialiased
        gradients = hog(
            np.asarray(small, dtype=np.float64),
            orientations=self.orientations,
            pixels_per_cell=(self.pixels_per_cell, self.pixels_per_cell),
            cells_per_block=(self.cells_per_block, self.cells_per_block),
            block_norm="L2-Hys",
        )
        height, width = grey.shape
        exact = grey.astype(np.float64)
        brightness = [exact.mean(), exact.std(), *np.percentile(exact, PERCENTILES), width / height]
        return np.concatenate([gradients, brightness]).astype(np.float32)

    def _names(self) -> tuple[str, ...]:
        blocks = self.size // self.pixels_per_cell - self.cells_per_block + 1
        shape = (blocks, blocks, self.cells_per_block, self.cells_per_block, self.orientations)
        gradients = [f"hog.{y}.{x}.{v}.{u}.{o}" for y, x, v, u, o in np.ndindex(shape)]
        brightness = ["intensity.mean", "intensity.sd", *(f"intensity.p{p}" for p in PERCENTILES), "aspect_ratio"]
        return (*gradients, *brightness)


@contextlib.contextmanager
def refusing_bombs() -> Iterator[None]:
    """Images above Pillow's limit against decompression bombs cannot be read, in all threads."""
    with warnings.catch_warnings():
        # Pillow warns of images above its limit and refuses those above twice of it; here the limit is the limit
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_grey(path: Path) -> NDArray[np.float32]:
    """An image as grey float32 (height, width), 0 black, 1 white. Eight bits reach 255, sixteen 65,535.

    Errors: whatever the decoder raises on a broken file; ValueError for pixels without a known white.
    """
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            deep = np.asarray(image).astype(np.int64)
            if deep.min() < 0 or deep.max() > 65535:
                raise ValueError("pixels beyond sixteen bits")
            return (deep / 65535).astype(np.float32)
        if image.mode == "F":
            raise ValueError("floating-point pixels have no known white")
        # a palette may carry transparency, which only the four-channel form holds
        flat = image.convert("RGBA") if image.mode == "P" else image
        return np.asarray(flat.convert("L"), dtype=np.float32) / np.float32(255)
