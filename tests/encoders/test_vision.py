"""Images: what the columns say, what cannot be read, and in which order."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m3h.core.errors import SettingError
from m3h.encoders.vision import Hog, read_grey
from m3h.hospital.sources import Images

STUDIES = Path(os.environ.get("STUDIES", Path(__file__).parents[2].parent / "shared" / "data"))


def images_of(*paths):
    """One sample each; None = no image."""
    files = tuple(() if path is None else path if isinstance(path, tuple) else (path,) for path in paths)
    return Images(files, tuple((0.0,) * len(names) for names in files))


def encode(*paths, encoder=None):
    encoder = encoder or Hog()
    data = images_of(*paths)
    return encoder.transform("xray", data, encoder.fit(data, np.ones(len(paths), bool)))


def stripes(height, width, *, upright):
    wave = np.sin(np.arange(width if upright else height) / 4) * 100 + 128
    return np.broadcast_to(wave if upright else wave[:, None], (height, width)).astype(np.uint8)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 150), dtype=np.uint8)).save(path)
    return path


def test_brightness_and_shape_by_hand(tmp_path):
    path = tmp_path / "ramp.png"
    Image.fromarray(np.arange(200, dtype=np.uint8).reshape(10, 20)).save(path)
    block = encode(path)
    column = dict(zip(block.names, block.values[0].tolist(), strict=True))
    assert column["intensity.mean"] == pytest.approx(99.5 / 255)
    assert column["intensity.sd"] == pytest.approx(np.sqrt((200**2 - 1) / 12) / 255)
    assert column["intensity.p25"] == pytest.approx(49.75 / 255)
    assert column["aspect_ratio"] == 2
    assert len(block.names) == 4 * 4 * 8 + 8


@pytest.mark.parametrize(("upright", "orientation"), [(True, 0), (False, 2)])
def test_gradients_point_across_the_stripes(tmp_path, upright, orientation):
    path = tmp_path / "stripes.png"
    Image.fromarray(stripes(200, 200, upright=upright)).save(path)
    block = encode(path, encoder=Hog(orientations=4))
    bins = block.values[0, : -len(("mean", "sd", 5, 25, 50, 75, 95, "aspect"))].reshape(4, 4, 4)
    assert (bins.argmax(axis=2) == orientation).all()


def test_sixteen_bits_and_colour_give_the_same_grey(tmp_path):
    grey = np.random.default_rng(1).integers(0, 256, (30, 40), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "rgb.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(grey).convert("RGBA").save(tmp_path / "rgba.png")
    for name in ("8", "16", "rgb", "palette", "rgba"):
        np.testing.assert_allclose(read_grey(tmp_path / f"{name}.png"), grey / 255, atol=1e-6)


def test_newest_image_is_read(tmp_path, photo):
    dark = tmp_path / "dark.png"
    Image.new("L", (10, 10), 0).save(dark)
    block = encode((dark, photo), photo)
    assert block.values[0].tobytes() == block.values[1].tobytes()


def test_what_cannot_be_read_is_absent_and_listed(tmp_path, photo, monkeypatch):
    whole = tmp_path / "whole.jpg"
    Image.open(photo).save(whole)
    truncated, text, empty = tmp_path / "truncated.jpg", tmp_path / "text.png", tmp_path / "empty.png"
    truncated.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    text.write_text("not an image")
    empty.write_bytes(b"")
    bomb, floats = tmp_path / "bomb.png", tmp_path / "floats.tiff"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90 * 150)
    Image.new("L", (91, 150)).save(bomb)
    Image.new("F", (9, 9)).save(floats)
    block = encode(
        whole, None, truncated, text, tmp_path / "gone.png", empty, bomb, floats, tmp_path, (photo, text), photo
    )
    assert block.present.tolist() == [True, *[False] * 9, True]
    assert block.unreadable == (2, 3, 4, 5, 6, 7, 8, 9)
    assert np.isnan(block.values[1:10]).all()


def test_bytes_flipped_anywhere_never_raise(tmp_path, photo):
    random = np.random.default_rng(2)
    paths = []
    for name in ("x.jpg", "x.png", "x.tiff", "x.gif", "x.bmp"):
        Image.open(photo).save(tmp_path / name)
        content = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
        for trial in range(12):
            broken = content.copy()
            broken[random.integers(0, min(len(broken), 400), 8)] = random.integers(0, 256, 8)
            paths.append(tmp_path / f"{trial}{name}")
            paths[-1].write_bytes(broken.tobytes())
    block = encode(*paths)
    assert 0 < len(block.unreadable) < len(paths)
    assert not np.isnan(block.values[block.present]).any()


def test_a_size_without_a_block_is_refused():
    with pytest.raises(SettingError, match=r"(?s)options\.size holds no block.*64"):
        Hog(size=63, cells_per_block=2)


def test_odd_sizes_have_as_many_names_as_columns(photo):
    block = encode(photo, encoder=Hog(size=100, pixels_per_cell=24, cells_per_block=3, orientations=5))
    assert block.values.shape == (1, len(block.names))


def test_real_x_rays_are_all_readable():
    folder = STUDIES / "covid-cxr" / "images"
    if not folder.is_dir():
        pytest.skip("the real studies are not here: set STUDIES to their folder")
    block = encode(*sorted(folder.iterdir())[:40])
    assert block.present.all()
    assert block.values.std(axis=0).min() > 0
