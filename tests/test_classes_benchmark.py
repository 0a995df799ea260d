"""Tests what the benchmark of classes makes of a metric card."""

import json
import pathlib

import pytest

from benchmarks.classes import MARKERS, main
from settings.messages import Problem


@pytest.fixture
def card(tmp_path, monkeypatch):
    """Writes a card whose classes are the better the more photographs they have."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "name": f"class {n}",
            "num_photographs": 40 + n,
            "kd": 1 - n / 10,
            "kd_floor": 0.01,
            "accuracy": n / 10,
            "accuracy_floor": 0.5 + n / 16,
            "diversity": 0.9,
        }
        for n in range(8)
    ]
    told = {
        "run": "flowers",
        "iteration": 2000,
        "extractor": {"name": "random"},
        "classes": {"images_of_each": 50, "of": rows},
    }
    path = pathlib.Path("samples/flowers/card-0002000-random-20.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(told))
    (path.parent / "card-0003000-random-20.json").write_text("{}")  # without classes
    return path


def test_groups_and_rank_correlations_tell_large_classes_from_small(card, capsys):
    main(["flowers"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("flowers at 2,000 iterations: 8 classes, ")
    groups = [line for line in lines if " to " in line]
    # Means of two classes: photographs' accuracy, floor, accuracy, difference, kd.
    assert groups[0] == "| 46 to 47 | 2 | 91% | 0.010 | 65% | 26% | 0.350 | 0.90 |"
    assert groups[3] == "| 40 to 41 | 2 | 53% | 0.010 | 5% | 48% | 0.950 | 0.90 |"
    for words, sign in (
        ("photographs recognized", "+"),
        ("images recognized", "+"),
        ("behind the photographs by", "-"),
        ("kernel distance", "-"),
    ):
        assert any(line.startswith(f"| {words} | {sign}1.00 | ") for line in lines)
    assert "| diversity | all are alike | |" in lines


def test_photographs_alone_can_be_told_of(card, capsys):
    main(["flowers", "--card", str(card), "--photographs"])
    said = capsys.readouterr().out
    assert said.startswith("8 classes, features of random.")
    assert "photographs recognized" in said and "images" not in said


def test_the_tables_go_into_a_page_and_the_classes_into_a_plot(card):
    pytest.importorskip("matplotlib")
    page = pathlib.Path("page.md")
    page.write_text(f"before\n{MARKERS.begin}\nold\n{MARKERS.end}\nafter\n")
    main(["flowers", "--page", str(page), "--plot", "plot.webp"])
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert "| 46 to 47 | 2 |" in text and "old" not in text
    assert pathlib.Path("plot.webp").read_bytes()[8:12] == b"WEBP"


def test_a_run_without_such_a_card_is_told_how_to_get_one(card):
    card.unlink()
    with pytest.raises(Problem, match="no metric card with classes(.|\n)*evaluate.py"):
        main(["flowers"])
    with pytest.raises(Problem, match="lost.json: cannot be read"):
        main(["flowers", "--card", "lost.json"])
