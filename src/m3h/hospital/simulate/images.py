"""Chest images as small grey pictures, drawn so that what a study shows can be seen in them."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from m3h.hospital.simulate.columns import Floats

#: Pixels of a side.
SIDE = 96
QUALITY = 88
_DOWN, _ACROSS = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE), indexing="ij")


def draw_chest(shown: Mapping[str, float], *, lateral: bool, random: np.random.Generator) -> Floats:
    """Grey values 0-255 (SIDE, SIDE) of a chest that shows these findings, each with a strength from 0 to 1.

    Right of the picture is the patient's left. In a lateral view the two lungs lie upon each other.
    """
    jitter = 0.04 * random.standard_normal(4)
    lungs = _lungs(lateral, jitter)
    grey = 150 - 85 * lungs + 14 * np.cos(22 * (_DOWN + 0.3 * _ACROSS**2)) * lungs  # ribs
    grey = grey + 70 * _blob(0.0, -0.1, 0.10 + 0.12 * shown.get("Enlarged Cardiomediastinum", 0), 1.1)
    enlarged = shown.get("Cardiomegaly", 0)
    grey = grey + 60 * _blob(0.12 + jitter[0], 0.38, 0.2 + 0.3 * enlarged, 0.22 + 0.08 * enlarged)
    drift = 0.05 * random.standard_normal(2)
    for name, strength in shown.items():
        grey = grey + strength * _drawn(name, lungs, drift, random)
    grey = grey * (0.95 + 0.1 * random.random()) + 7 * random.standard_normal((SIDE, SIDE))
    grey[(np.abs(_ACROSS) > 0.97) | (_DOWN < -0.97)] = 8  # collimator
    return np.clip(grey, 0, 255)


def jpeg(grey: Floats) -> bytes:
    """Grey values as a JPEG file; the same bytes for the same values."""
    stream = io.BytesIO()
    Image.fromarray(np.rint(grey).astype(np.uint8)).save(stream, format="JPEG", quality=QUALITY)
    return stream.getvalue()


def _blob(across: float, down: float, wide: float, high: float) -> Floats:
    """A soft ellipse, 1 in its middle."""
    distance = ((_ACROSS - across) / wide) ** 2 + ((_DOWN - down) / high) ** 2
    return np.asarray(np.exp(-0.5 * distance * np.sqrt(distance)))


def _lungs(lateral: bool, jitter: Floats) -> Floats:
    if lateral:
        return _blob(0.0 + jitter[1], 0.0, 0.55, 0.62)
    return _blob(-0.46 + jitter[1], 0.02 + jitter[3], 0.31, 0.62) + _blob(
        0.46 + jitter[2], 0.02 + jitter[3], 0.29, 0.60
    )


def _drawn(name: str, lungs: Floats, drift: Floats, random: np.random.Generator) -> Floats:
    """What a finding adds to the grey values at full strength; zeros for those that are drawn elsewhere."""
    x, y = drift
    match name:
        case "Edema":  # haze on both sides
            return np.asarray(42 * lungs * (1.2 - np.abs(_ACROSS)))
        case "Consolidation":  # a dense patch
            return 78 * _blob(-0.5 + x, 0.42 + y, 0.2, 0.16)
        case "Lung Opacity":  # a faint one on the other side
            return 60 * _blob(0.48 + x, y, 0.17, 0.18)
        case "Pneumonia":  # a grainy one
            grain = random.standard_normal((SIDE // 4, SIDE // 4)).repeat(4, axis=0).repeat(4, axis=1)
            return np.asarray((55 + 25 * grain) * _blob(-0.45 + x, 0.25 + y, 0.22, 0.24))
        case "Lung Lesion":  # a small round one
            return 70 * _blob(-0.4 + x, -0.35 + y, 0.07, 0.07)
        case "Pleural Other":
            return 40 * _blob(-0.5, -0.6, 0.2, 0.06)
        case "Pneumothorax":  # air outside of a lung is black
            return -55 * _blob(0.62, -0.5, 0.16, 0.26)
        case _:
            return _lines(name, lungs)


def _lines(name: str, lungs: Floats) -> Floats:
    """Findings with sharp edges."""
    match name:
        case "Pleural Effusion":  # fills the bases, higher at the sides
            base = 1 / (1 + np.exp(-18 * (_DOWN - 0.55 + 0.25 * np.abs(_ACROSS))))
            return np.asarray(80 * base * np.clip(lungs + 0.3, 0, 1))
        case "Atelectasis":  # a line above a base
            return np.asarray(
                75 * np.exp(-((_DOWN - 0.36 - 0.1 * _ACROSS) ** 2) / 0.0018) * (np.abs(_ACROSS - 0.46) < 0.3)
            )
        case "Support Devices":  # a tube in the middle and a wire across
            tube = (np.abs(_ACROSS - 0.02) < 0.02) & (_DOWN < -0.2)
            return np.asarray(85.0 * (tube | (np.abs(_ACROSS - 0.35 - 0.3 * _DOWN) < 0.015)))
        case "Fracture":  # bright marks along the ribs' ends
            return np.asarray(40 * np.exp(-((_ACROSS + 0.75) ** 2) / 0.002) * (np.abs(np.sin(9 * _DOWN)) > 0.8))
        case _:
            return np.zeros((SIDE, SIDE))
