"""Chest images through a frozen DenseNet: against TorchXRayVision's own forward pass and SciPy's interpolation."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import map_coordinates

from m3h.encoders import densenet
from m3h.encoders.densenet import FINDINGS, DenseNet121Chex, features_of, make_network, read_pixels
from m3h.encoders.surroundings import around
from m3h.encoders.weights.catalog import MODELS
from m3h.hospital.sources import Images
from pretrained import THRESHOLDS, picture, thin_densenet, write_densenet

ROWS = np.ones(4, dtype=bool)
WIDTH = 16  # of the thin one's last feature maps


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_densenet(folder)
    return folder


@pytest.fixture
def images(tmp_path):
    one, two, three = (picture(tmp_path / f"{number}.png", number) for number in (5, 17, 40))
    times = ((-500.0, 10.0, 30.0), (), (3.0, 3.0), (1.0,))
    return Images(((one, two, three), (), (three, one), (two,)), times)


def encoded(images, **options):
    encoder = DenseNet121Chex(**options)
    return encoder.transform("image", images, encoder.fit(images, ROWS))


@torch.inference_mode()
def theirs(path):
    """Features and predictions by the library's own code, one image at a time."""
    network = thin_densenet()
    network.op_threshs = torch.tensor([float("nan") if value is None else value for value in THRESHOLDS])
    pixels = read_pixels(path, crop="none")[None]
    return network.features2(pixels)[0].numpy(), network(pixels)[0].numpy()


def test_an_image_gives_what_the_library_gives(place, images):
    with around(weights=place):
        dense, predictions = (encoded(images, output=output) for output in ("dense", "predictions"))
    assert dense.values.shape == (4, WIDTH)
    assert predictions.names == FINDINGS
    assert dense.present.tolist() == predictions.present.tolist() == [True, False, True, True]
    for row in (0, 2, 3):
        features, chances = theirs(images.paths[row][-1])
        assert dense.values[row] == pytest.approx(features, abs=1e-4)
        assert predictions.values[row] == pytest.approx(chances, abs=1e-5)
    assert np.ptp(dense.values[[0, 2, 3]], axis=0).max() > 0.01
    # findings that the weights were not trained for
    assert (predictions.values[0][2::3] == 0.5).all()
    assert (predictions.values[0][0] != 0.5).all()


@pytest.mark.parametrize(("profile", "extra"), [("strict", 1e-3), ("haim", 0.0)])
def test_the_mean_over_all_images_is_weighted_by_time(profile, extra, place, images):
    with around(weights=place):
        block = encoded(images, aggregate="mean", profile=profile)
    one, two, three = (theirs(path)[0] for path in images.paths[0])
    weights = np.array([0.0, 510 / 530, 1.0]) + extra
    expected = np.average([one, two, three], axis=0, weights=weights)
    assert block.values[0] == pytest.approx(expected, abs=1e-4)
    of_one_moment = [np.zeros(WIDTH)] * 2 if profile == "haim" else [(three + one) / 2, two]
    assert block.values[2] == pytest.approx(of_one_moment[0], abs=1e-4)
    assert block.values[3] == pytest.approx(of_one_moment[1], abs=1e-4)


def test_pixels_are_interpolated_from_the_four_nearest(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (301, 517), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "image.png")
    rows, columns = (np.clip((np.arange(224) + 0.5) * size / 224 - 0.5, 0, size - 1) for size in values.shape)
    exact = map_coordinates(values.astype(np.float64), np.meshgrid(rows, columns, indexing="ij"), order=1)
    got = read_pixels(tmp_path / "image.png", crop="none")
    assert got.shape == (1, 224, 224)
    levels = (got[0].numpy().astype(np.float64) / 1024 + 1) * 255 / 2
    assert np.abs(levels - exact).max() < 0.51  # whole levels of 8 bits, and float32
    assert np.abs(levels - np.round(levels)).max() < 1e-3


def test_black_is_minus_1024_and_white_1024_at_any_depth(tmp_path):
    for mode, name in ((np.uint8, "8.png"), (np.uint16, "16.png")):
        white = np.zeros((300, 260), dtype=mode)
        white[:, 130:] = np.iinfo(mode).max
        Image.fromarray(white).save(tmp_path / name)
        pixels = read_pixels(tmp_path / name, crop="none")
        assert (pixels.min(), pixels.max()) == (-1024, 1024)
        assert pixels[0, 0, 0] == -1024


def test_the_middle_square_is_cut_first(tmp_path):
    wide = np.zeros((100, 300), dtype=np.uint8)
    wide[:, 100:200] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (read_pixels(tmp_path / "wide.png", crop="center") == 1024).all()
    assert (read_pixels(tmp_path / "wide.png", crop="none") == -1024).any()


def test_a_broken_image_leaves_its_samples_absent_and_named(place, images, tmp_path):
    broken, empty, gone = (tmp_path / name for name in ("broken.png", "empty.png", "gone.png"))
    broken.write_bytes(images.paths[0][0].read_bytes()[:700])
    empty.touch()
    good = images.paths[0][0]
    given = Images(((good, broken), (broken, good), (empty,), (gone,)), ((1.0, 2.0), (1.0, 2.0), (1.0,), (1.0,)))
    with around(weights=place):
        newest, mean = (encoded(given, aggregate=aggregate) for aggregate in ("newest", "mean"))
    assert newest.unreadable == (0, 2, 3)
    assert newest.present.tolist() == [False, True, False, False]
    assert mean.unreadable == (0, 1, 2, 3)
    assert not mean.present.any()


def test_an_image_is_seen_once_whatever_its_name_and_use(place, images, tmp_path, monkeypatch):
    same = tmp_path / "copy.png"
    same.write_bytes(images.paths[0][0].read_bytes())
    given = Images(((images.paths[0][0], same), (same,), *images.paths[2:]), ((1.0, 2.0), (1.0,), *images.times[2:]))
    seen = []
    see = densenet.Eye.see
    monkeypatch.setattr(densenet.Eye, "see", lambda self, pixels: seen.append(len(pixels)) or see(self, pixels))
    with around(weights=place, memory={}):
        encoded(given, aggregate="mean")
        assert sum(seen) == 3  # of six
        encoded(given, output="predictions")
    assert sum(seen) == 3
    with around(weights=place, embeddings=tmp_path / "cache"):
        first = encoded(given)
        again = encoded(given)
    assert sum(seen) == 6 - 1  # the newest of two samples are one image
    assert first.values.tobytes() == again.values.tobytes()


def test_the_published_network_has_its_published_size():
    config = MODELS["densenet121-chex"].config
    network = make_network(config)
    # DenseNet-121 of torchvision has 7,978,856; with one channel in and 18 findings out:
    assert sum(p.numel() for p in network.parameters()) == 7_978_856 - 2 * 64 * 49 - 1000 * 1025 + 18 * 1025
    assert network.features(torch.zeros((2, 1, 224, 224), device="meta")).shape == (2, 1024, 7, 7)
    assert features_of(config) == 1024
    trained = [name for name, value in zip(FINDINGS, config["thresholds"], strict=True) if value is not None]
    assert len(trained) == 11
    assert "Pneumonia" in trained
    assert "Hernia" not in trained
