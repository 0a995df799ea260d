"""Tests how metric cards are grouped and summed up, and the sheet of neighbours."""

import json

import numpy as np
import pytest

from gallery.cards import card_blocks, class_verdict, metric_words, read_cards, verdict
from gallery.neighbours import neighbours_sheet


def card(extractor, iteration, distance, count=5000):
    """Returns a card as `read_cards` does."""
    name = f"fd_{extractor.replace('-', '_')}"
    return {
        "extractor": extractor,
        "iteration": iteration,
        "num_fake": count,
        "metrics": {name: distance},
        "floor": {name: 10.0},
    }


def test_each_network_has_a_block_and_in_it_the_best_card_comes_first():
    cards = [
        card("random", 3000, 1.0),
        card("mobilenetv2", 3000, 30.0),
        card("mobilenetv2", 2000, 20.0),
        card("mobilenetv2", 1000, 40.0),
        card("inception-fid", 1000, 50.0),
    ]
    blocks = card_blocks(cards)
    names = [block["extractor"] for block in blocks]
    assert names == ["inception-fid", "mobilenetv2", "random"]
    iterations = [one["iteration"] for one in blocks[1]["cards"]]
    assert iterations == [2000, 3000, 1000]
    assert blocks[1]["metrics"] == [("fd_mobilenetv2", "Fr\u00e9chet distance")]
    assert "2.0 times as far" in blocks[1]["verdict"]


def test_cards_of_other_numbers_of_images_are_not_compared():
    cards = [
        card("mobilenetv2", 1000, 30.0, 100),
        card("mobilenetv2", 1000, 40.0),
        card("mobilenetv2", 2000, 50.0, None),
        card("mobilenetv2", 2000, 20.0, 100),
    ]
    blocks = card_blocks(cards)
    assert [block["num_fake"] for block in blocks] == [5000, 100, None]
    assert [one["iteration"] for one in blocks[1]["cards"]] == [2000, 1000]


def test_a_verdict_is_one_sentence_against_the_floor():
    metrics = {"fd_x": 440.1, "precision_x": 0.0888, "recall_x": 0.0006}
    floor = {"fd_x": 17.89, "precision_x": 0.776, "recall_x": 0.782}
    assert verdict(metrics, floor) == (
        "The pictures are 25 times as far from the photographs as other photographs "
        "are (Fr\u00e9chet distance 440.1, floor 17.89); 8.9% of them lie among the "
        "photographs (floor 77.6%); 0.1% of the photographs lie among them (floor "
        "78.2%)."
    )


def card_of_classes(**more):
    """Returns a card of four classes, as the file has it."""
    rows = [
        {"name": "rose", "kd": 0.3, "diversity": 0.9},
        {"name": "iris", "kd": 0.1, "diversity": 0.5},
        {"name": "lily", "kd": 0.9, "diversity": 0.8},
        {"name": "pansy", "kd": 0.2, "diversity": 1.1},
    ]
    names = ("accuracy_top_5_x", "accuracy_x")
    return {
        "metrics": dict(zip(names, (0.9, 0.612), strict=True)),
        "floor": dict(zip(names, (0.99, 0.834), strict=True)),
        "classes": {"of": rows},
    } | more


def test_a_verdict_on_classes_names_the_best_and_the_worst():
    assert class_verdict(card_of_classes()) == (
        "61.2% of the pictures are recognized as the class they were made of "
        "(photographs 83.4%). Farthest from their photographs: lily, rose; nearest: "
        "iris, pansy. Least varied, 0.50 times as much as its photographs: iris."
    )
    without = card_of_classes(metrics={}, floor={})
    assert class_verdict(without).startswith("Farthest from their photographs: lily")


@pytest.mark.parametrize(
    "classes",
    [
        *(None, 3, {}, {"of": None}),
        {"of": [3, None, {}, {"name": "rose", "kd": 0.5}]},
        {"of": [{"name": "rose", "kd": 0.5}, {"name": 3, "kd": 0.5}, {"kd": 0.5}]},
    ],
)
def test_classes_that_cannot_be_read_are_passed_over(classes):
    assert class_verdict(card_of_classes(classes=classes)) == ""


def test_the_verdict_of_a_block_speaks_of_classes_too(tmp_path):
    told = card("mobilenetv2", 1000, 30.0) | {"classes": card_of_classes()["classes"]}
    (tmp_path / "card-1.json").write_text(json.dumps(told))
    (block,) = card_blocks(read_cards(tmp_path)[0])
    assert "3.0 times as far" in block["verdict"] and "lily, rose" in block["verdict"]


@pytest.mark.parametrize("distance", [17.0, 18.5])
def test_pictures_at_the_floor_are_about_as_far_as_photographs(distance):
    assert "are about as far from" in verdict({"fid": distance}, {"fid": 17.89})


@pytest.mark.parametrize("floor", [{}, {"fd_x": 0.0}, {"kd_x": 1.0}])
def test_nothing_is_said_without_a_floor(floor):
    assert verdict({"fd_x": 5.0, "kd_x": 1.0}, floor) == ""


@pytest.mark.parametrize(
    ("name", "extractor", "words"),
    [
        ("kid_sd", "inception-fid", "its deviation"),
        ("kd_inception_keras_75_sd", "inception-keras-75", "its deviation"),
        ("recall_random", "random", "recall"),
        ("odd", None, "odd"),
    ],
)
def test_metrics_have_words(name, extractor, words):
    assert metric_words(name, extractor) == words


@pytest.mark.parametrize(("size", "side"), [(32, 128), (64, 128), (256, 256)])
def test_small_images_are_enlarged_on_the_sheet_and_pairs_have_gaps(size, side):
    image = np.full((size, size, 3), (200, 0, 0), np.uint8)
    photograph = np.full((size, size, 3), (0, 0, 200), np.uint8)
    sheet = neighbours_sheet([("Heading", [(image, photograph, "label")] * 5)])
    row = np.asarray(sheet)[16 + 40 + side // 2]
    is_image = (row == (200, 0, 0)).all(1)
    is_photograph = (row == (0, 0, 200)).all(1)
    assert is_image.sum() == is_photograph.sum() == 4 * side
    first, second = np.flatnonzero(is_image)[0], np.flatnonzero(is_photograph)[0]
    assert second - first == side + 4
