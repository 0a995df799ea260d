"""Tests of the flowers the program draws."""

import numpy as np
import pytest
from PIL import Image

import data
from data.flowers import drawn, paint
from data.flowers.paint import Plane, Shape
from data.flowers.species import SPECIES


def draw_flower(*arguments):
    return drawn.draw_flower(*arguments).pixels


def test_a_flower_is_a_square_of_bytes():
    for size in (32, 48, 256):
        flower = draw_flower(0, 0, size)
        assert flower.shape == (size, size, 3)
        assert flower.dtype == np.uint8


def test_seed_and_index_decide_the_picture_and_nothing_else_does():
    first = draw_flower(3, 5, 32)
    np.random.default_rng(0).random()
    draw_flower(0, 0, 32)
    np.testing.assert_array_equal(draw_flower(3, 5, 32), first)
    assert (draw_flower(3, 6, 32) != first).any()
    assert (draw_flower(4, 5, 32) != first).any()


def test_pictures_change_only_with_the_drawing_version():
    # Caches hold drawn pictures under this version: raise it, then renew these means.
    assert drawn.DRAWING_VERSION == 1
    means = [draw_flower(0, index, 32).mean(axis=(0, 1)) for index in range(3)]
    expected = [[62.07, 62.09, 22.31], [111.77, 95.66, 40.32], [73.57, 79.7, 73.69]]
    # Rounding may differ between machines, by far less than any change of drawing.
    np.testing.assert_allclose(means, expected, atol=0.05)


def test_a_larger_picture_shows_the_same_flower():
    for index in range(8):
        small = draw_flower(0, index, 32)
        large = Image.fromarray(draw_flower(0, index, 128))
        shrunk = np.asarray(large.resize((32, 32), Image.Resampling.LANCZOS))
        assert np.abs(small.astype(float) - shrunk).mean() < 4


def test_every_species_can_be_drawn_and_stands_out_in_the_middle(monkeypatch):
    for name, species in SPECIES.items():
        monkeypatch.setattr(drawn, "SPECIES", {name: species})
        contrasts = []
        for index in range(6):
            flower = draw_flower(0, index, 32).astype(float)
            inner = flower[10:22, 10:22].mean(axis=(0, 1))
            outer = np.concatenate([flower[:3], flower[-3:]]).mean(axis=(0, 1))
            contrasts.append(np.abs(inner - outer).max())
        assert np.median(contrasts) > 30, name


def test_species_and_colours_vary():
    flowers = np.stack([draw_flower(0, index, 32) for index in range(60)])
    middles = flowers[:, 8:24, 8:24].astype(float).mean(axis=(1, 2))
    assert (middles.std(axis=0) > 25).all()


def test_a_petal_lies_where_its_angle_says():
    canvas = np.zeros((100, 100, 3), np.float32)
    white = (1.0, 1.0, 1.0)
    colours = (white, white, white)
    paint.paint_petal(canvas, Plane(20, 50), 0.0, 60, 10, Shape(), colours)
    rows, columns = np.nonzero(canvas[..., 0] > 0.5)
    # Along x from 20 to 80 and 10 to either side of y = 50; its base is pointed.
    assert 20 <= columns.min() < 32
    assert 76 < columns.max() <= 80
    assert abs(rows.min() - 40) <= 1
    assert abs(rows.max() - 59) <= 1


def test_a_tilted_disc_is_foreshortened_across_its_turn():
    canvas = np.zeros((100, 100, 3), np.float32)
    white = (1.0, 1.0, 1.0)
    paint.paint_disc(canvas, Plane(50, 50, squash=0.5), 40, white, white)
    rows, columns = np.nonzero(canvas[..., 0] > 0.4)
    assert columns.max() - columns.min() + 1 == pytest.approx(80, abs=2)
    assert rows.max() - rows.min() + 1 == pytest.approx(40, abs=2)


def test_nothing_happens_outside_the_canvas():
    canvas = np.zeros((20, 20, 3), np.float32)
    white = (1.0, 1.0, 1.0)
    for place in (-300, 300):
        plane = Plane(place, place)
        paint.paint_petal(canvas, plane, 0.0, 9, 3, Shape(), (white, white, white))
        paint.paint_disc(canvas, plane, 9, white, white)
    assert not canvas.any()


def test_drawn_images_are_cached_by_number_and_seed(tmp_path, monkeypatch):
    def load(num_images, seed):
        monkeypatch.setattr(drawn, "SEED", seed)
        return data.load_images(
            "drawn",
            image_size=32,
            cache_dir=tmp_path,
            num_images=num_images,
            say=lambda line: None,
        )

    images = load(3, seed=7)
    assert images.count == 3
    assert images.path.name.startswith("drawn-32px-")
    np.testing.assert_array_equal(images.images[2], draw_flower(7, 2, 32))
    assert len({load(3, 7).path, load(4, 7).path, load(3, 8).path}) == 3
    assert load(3, 7).fingerprint == images.fingerprint


def test_drawn_images_can_be_had_from_a_number_on():
    found = list(drawn.DrawnSource(4).images(32, 2))
    assert len(found) == 2
    expected = drawn.draw_flower(drawn.SEED, 2, 32)
    np.testing.assert_array_equal(found[0].pixels, expected.pixels)
    assert found[0].label == expected.label
