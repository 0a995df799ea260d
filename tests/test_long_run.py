"""Tests the page of a long run: tables, pictures, and what of the page is kept."""

import json

import pytest
from PIL import Image
from tiny_run import tree

from benchmarks.long_run.__main__ import MARKERS, write
from benchmarks.long_run.parts import thinned
from benchmarks.long_run.pictures import rows_of_cards
from benchmarks.long_run.tables import OF_CARDS
from records.run_folder import RunFolder
from settings.messages import Problem

pytest.importorskip("matplotlib")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Returns a run that was measured twice, stopped once, and met two spikes."""
    monkeypatch.chdir(tmp_path)
    run = RunFolder("long")
    run.root.mkdir(parents=True)
    run.samples.mkdir(parents=True)
    rows = [
        {
            "iteration": at,
            "loss/generator": 1.0,
            "discriminator/real_sign": 0.5 if at <= 5000 else 0.75,
            "gradient/generator_max": 40.0 if at == 7000 else 2.0,
            "gradient/discriminator_max": 3.0,
        }
        for at in range(500, 10_001, 500)
    ]
    for at, kd in ((5000, 0.875), (10_000, 0.4375)):
        rows.append(
            {
                "iteration": at,
                "metric/kd_mobilenetv2": kd,
                "metric/kd_mobilenetv2_floor": -0.0002,
                "metric/fd_mobilenetv2": 208.4,
                "metric/fd_mobilenetv2_floor": 17.9,
            }
        )
    write_rows(run.root / "scalars.jsonl", sorted(rows, key=lambda r: r["iteration"]))
    spike = {"network": "generator", "skipped": False, "loss_before": 1.0}
    write_rows(
        run.root / "spikes.jsonl",
        [
            spike | {"iteration": 9000},
            spike | {"iteration": 9100, "skipped": True},
            {
                "iteration": 9004,
                "network": "generator",
                "recovered_from": 9000,
                "after_iterations": 4,
            },
        ],
    )
    session = {"device": "a card", "versions": {}}
    sessions = [
        session | {"first_iteration": 0, "last_iteration": 6000, "seconds": 3600.0},
        session
        | {"first_iteration": 6000, "last_iteration": 10_000, "seconds": 1800.0},
    ]
    run.sessions.write_text(json.dumps(sessions))
    for at in (5000, 10_000):
        numbers = {f"{key}_mobilenetv2": at / 1e5 for key in OF_CARDS}
        card = {"run": "long", "iteration": at, "extractor": {"name": "mobilenetv2"}}
        card |= {"seed": 0, "checkpoint_sha256": "0123456789abcdef"}
        card |= {"metrics": numbers, "floor": dict.fromkeys(numbers, 0.9)}
        card |= {"command": "evaluate.py --weights /secret/a.h5"}
        card |= {"neighbours": f"neighbours-{at:07d}.png"}
        path = run.samples / f"card-{at:07d}-mobilenetv2-5000.json"
        path.write_text(json.dumps(card))
        Image.new("RGB", (9, 9), (at // 50, 0, 0)).save(
            run.samples / card["neighbours"]
        )
    for at in (1000, 1500):
        grid = Image.new("RGB", (512, 512), (at // 10, 0, 0))
        grid.save(run.samples / f"grid-{at:07d}.png")
    return run


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_page(tmp_path):
    page = tmp_path / "docs/long.md"
    page.parent.mkdir()
    page.write_text("\n".join(["# Top", *MARKERS, "below", ""]))
    return page


def test_a_page_has_what_was_seen_and_keeps_what_a_person_wrote(run, tmp_path):
    page = write_page(tmp_path)
    for _ in range(2):  # writing again replaces
        write("long", page)
    text = page.read_text()
    assert text.startswith("# Top\n") and text.endswith("\nbelow\n")
    assert "from nothing: 10,000 iterations in 2 sessions, 1 h 30 min" in text
    lines = [line for line in text.splitlines() if "| 5,000 | 0.875" in line]
    assert lines == [
        "| 5,000 | 0.875 (-0.000) | 208.4 (17.9) | 0.50 | nan | 3, 2 |",
    ]
    assert text.count("| 10,000 | 0.438 (-0.000) | 208.4 (17.9) | 0.75 | nan | 3, 40 |")
    assert "| 0 to 10,000 | generator | 2 | 1 | 1 |" in text
    assert text.count("grid at") == 1  # 1,500 is no round iteration
    folder = tmp_path / "docs/long"
    with Image.open(folder / "grid-0001000.webp") as grid:
        assert grid.size == (512, 512) and grid.format == "WEBP"
    with Image.open(folder / "curves.webp") as curves:
        assert curves.width > 1000
    assert f"| 5,000 |{' 0.05 (0.9) |' * 7}" in text
    assert f"| 10,000 |{' 0.1 (0.9) |' * 7}" in text
    assert "onger average" not in text
    assert [path.name for path in folder.glob("neighbours*")] == [
        "neighbours-0010000-mobilenetv2-5000.webp"  # of the last card
    ]
    cards = [path.read_text() for path in folder.glob("card-*.json")]
    assert len(cards) == 2 and "secret" not in "".join(cards)
    kept = (folder / "part-0000000.jsonl").read_text().splitlines()
    assert len(kept) == 1 + 20 + 2  # the part, a row for every 500 iterations, metrics


def test_what_was_written_stays_when_the_samples_are_gone(run, tmp_path):
    page = write_page(tmp_path)
    write("long", page)
    for path in run.samples.iterdir():
        path.unlink()
    write("long", page)
    text = page.read_text()
    assert "grid at 1,000" in text and "| 5,000 | 0.05" in text
    assert "![samples at 10,000, and their nearest photographs]" in text


def test_longer_averages_of_the_run_are_beside_its_own(run, tmp_path):
    own = run.samples / "card-0005000-mobilenetv2-5000.json"
    card = json.loads(own.read_text()) | {"average": "9 checkpoints"}
    card["metrics"] = dict.fromkeys(card["metrics"], 0.03)
    folder = run.samples.parent / "weights/offered"
    folder.mkdir(parents=True)
    for seed in (0, 1):
        sheet = f"neighbours-{seed}.png"
        Image.new("RGB", (9, 9)).save(folder / sheet)
        card |= {"seed": seed, "neighbours": sheet}
        name = f"card-0005000-mobilenetv2-5000-average{'-seed1' * seed}.json"
        (folder / name).write_text(json.dumps(card))
    later = {
        "seed": 0,
        "neighbours": "neighbours-0.png",
        "checkpoint_sha256": "fed" * 9,
    }
    name = "card-0010000-mobilenetv2-5000-average.json"
    (folder / name).write_text(json.dumps(card | later | {"iteration": 10_000}))
    again = json.loads(own.read_text()) | {"seed": 1, "iteration": 10_000}
    name = "card-0010000-mobilenetv2-5000-seed1.json"
    (run.samples / name).write_text(json.dumps(again))
    other = json.dumps(card | {"run": "other", "iteration": 7000})
    (folder / "card-0007000-mobilenetv2-5000-average.json").write_text(other)
    page = write_page(tmp_path)
    for _ in range(2):
        write("long", page, before=500)
    text = page.read_text()
    assert f"| 5,500 |{' 0.05 (0.9) |' * 7}" in text
    assert f"| 5,500, a longer average |{' 0.03 (0.9) |' * 7}" in text
    assert f"| 5,500, a longer average, seed 1 |{' 0.03 (0.9) |' * 7}" in text
    assert text.index("| 5,500 | 0.05") < text.index("| 5,500, a longer")
    assert text.count("- 5,500: 9 checkpoints\n") == 1
    assert "7,500" not in text
    kept = sorted(path.name for path in (tmp_path / "docs/long").glob("neighbours*"))
    assert kept == [
        "neighbours-0005500-mobilenetv2-5000-average-01234567.webp",
        "neighbours-0010500-mobilenetv2-5000-average-fedfedfe.webp",
        "neighbours-0010500-mobilenetv2-5000.webp",
    ]
    for at in ("5,500, a longer average", "10,500, a longer average", "10,500"):
        assert text.count(f"![samples at {at}, and their nearest photographs]") == 1


def test_curves_of_cards_are_of_the_runs_own_average_and_one_seed():
    numbers = {"precision": (0.1, 0.7), "recall": (0.2, 0.8), "coverage": (0.3, 0.9)}
    found, floors = (
        {f"{key}_mobilenetv2": both[place] for key, both in numbers.items()}
        for place in (0, 1)
    )
    card = {"iteration": 500, "seed": 0, "metrics": found, "floor": floors}
    cards = {"own": card, "2": card | {"average": "9"}, "3": card | {"seed": 1}}
    row = {"iteration": 500, "precision": 0.1, "recall": 0.2, "coverage": 0.3}
    row |= {"precision_floor": 0.7, "recall_floor": 0.8, "coverage_floor": 0.9}
    assert rows_of_cards(cards) == [row]


def test_a_run_that_began_with_the_weights_of_one_that_is_lost_is_the_next_part(
    run, tmp_path
):
    page = write_page(tmp_path)
    write("long", page)
    for path in (run.root, run.samples):
        path.rename(path.with_name("second"))
    samples = run.samples.with_name("second")
    Image.new("RGB", (512, 512)).save(samples / "grid-0005000.png")
    before = tree(page.parent)
    with pytest.raises(Problem, match="is of long, not second"):
        write("second", page)
    assert tree(page.parent) == before
    write("second", page, before=5000)
    text = page.read_text()
    assert "- `long`, from nothing: 10,000 iterations in 2 sessions" in text
    assert "- `second`, from iteration 5,000 on: 10,000 iterations" in text
    rows = [line.split(" ")[1] for line in text.splitlines() if "208.4" in line]
    assert rows == ["5,000", "10,000", "15,000"]  # the first's 10,000 was done anew
    assert "| 10,000 | 0.875 (" in text and "| 15,000 | 0.438 (" in text
    assert "| 10,000 to 20,000 | generator | 2 | 1 | 1 |" in text
    assert "| 0 to 10,000 |" not in text  # the first's at 9,000 were after 5,000
    folder = tmp_path / "docs/long"
    cards = [path.name[:12] for path in sorted(folder.glob("card-*.json"))]
    assert cards == ["card-0005000", "card-0010000", "card-0015000"]
    assert "grid at 1,000" in text  # of the first; the second has none at 6,000
    assert "grid at 10,000" in text and (folder / "grid-0010000.webp").exists()
    before = tree(page.parent)
    with pytest.raises(Problem, match="is of second already\n.*--before 5000"):
        write("second", page, before=500)
    assert tree(page.parent) == before
    write("second", page, before=5000)
    assert tree(page.parent) == before


def test_rows_are_thinned_to_medians_and_largest_gradients_but_not_metrics():
    rows = [
        {"iteration": at, "loss/generator": at / 100, "gradient/generator_max": 9.0 - k}
        for k, at in enumerate((100, 200, 500, 600, 700))
    ]
    metrics = [
        {"iteration": at, "metric/kd_mobilenetv2": 0.123456789} for at in (300, 500)
    ]
    rows.insert(3, metrics[1])
    rows.insert(2, metrics[0])
    assert thinned(rows) == [
        metrics[0],
        metrics[1],
        {"iteration": 500, "loss/generator": 2.0, "gradient/generator_max": 9.0},
        {"iteration": 700, "loss/generator": 6.5, "gradient/generator_max": 6.0},
    ]


def test_a_run_without_rows_and_a_page_without_markers_are_refused(run, tmp_path):
    page = write_page(tmp_path)
    with pytest.raises(Problem, match="nothing measured yet"):
        write("other", page)
    page.write_text("no markers")
    with pytest.raises(Problem, match="no place for the results"):
        write("long", page)
    assert page.read_text() == "no markers"
    assert [path.name for path in page.parent.iterdir()] == [page.name]
