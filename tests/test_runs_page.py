"""Tests the page of all runs by the files that are written."""

import json
import os
import re
import time

import pytest
from PIL import Image

from gallery.live import Live
from gallery.run_page import RunPage, write_run_page
from gallery.runs_page import MOST_SHOWN, write_runs_page
from gallery.scalars import Scalars


def live(state, seen=0.0):
    """Returns how a run stands at 1,000 of 4,000 iterations."""
    return Live(state, 1000, 4000, seen, patience_seconds=60.0)


def write_run(samples, name, updated, rows=(), metric=None, live=None):
    """Writes a run's page as training does, last updated when told."""
    folder = samples / name
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 64), (9, 99, 9)).save(folder / "grid-0001000.png")
    page = RunPage(
        name=name,
        iteration=1000,
        total_iterations=4000,
        scalars=Scalars(rows),
        spikes=[{"iteration": 5}],
        events=[],
        config_text="",
        preset=None,
        differences=[],
        facts=[],
        checkpoints=[],
        metric=metric,
        live=live,
    )
    write_run_page(folder, page)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"updated": updated}))


def test_runs_are_listed_newest_first_with_grid_progress_and_metric(tmp_path):
    rows = [{"iteration": 800, "metric/kd_x": 0.52, "metric/kd_x_floor": 0.01}]
    write_run(tmp_path, "older", 1_000_000)
    write_run(tmp_path, "newer", 2_000_000, rows, "metric/kd_x")
    text = write_runs_page(tmp_path).read_text("utf-8")
    assert text.index("<h2>newer</h2>") < text.index("<h2>older</h2>")
    newer = text[: text.index("<h2>older</h2>")]
    assert 'src="newer/thumbnails/grid-0001000.webp"' in newer
    assert 'href="newer/index.html"' in newer
    assert '<progress max="1" value="0.25"' in newer
    assert '<span class="done">1,000</span> of 4,000' in newer
    assert "<dd>0.5200 at 800</dd>" in newer and "<dd>0.0100</dd>" in newer
    assert "1970-01-24 03:33 UTC" in newer
    assert text.count("Its floor") == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"{}",
        b'{"iteration": "1", "total_iterations": 2, "updated": 3}',
        b'{"iteration": 1, "total_iterations": NaN, "updated": 3}',
        b'{"iteration": 1, "total_iterations": 2, "updated": 1e300}',
        b"[" * 100_000,
    ],
)
def test_a_broken_summary_is_passed_over_and_named(tmp_path, content):
    write_run(tmp_path, "whole", 1_000_000)
    (tmp_path / "bro<ken").mkdir()
    (tmp_path / "bro<ken/summary.json").write_bytes(content)
    text = write_runs_page(tmp_path).read_text("utf-8")
    assert "<h2>whole</h2>" in text
    assert text.count("<li ") == 1
    assert "<code>bro&lt;ken</code>" in text[text.index("<footer>") :]


def test_what_a_summary_says_wrongly_is_left_out(tmp_path):
    write_run(tmp_path, "run", 1_000_000)
    path = tmp_path / "run/summary.json"
    summary = json.loads(path.read_text()) | {
        "thumbnail": "../../secret.webp",
        "best": {"metric": "<b>", "value": "low", "iteration": 1},
        "num_spikes": [],
    }
    path.write_text(json.dumps(summary))
    text = write_runs_page(tmp_path).read_text("utf-8")
    assert "no grid yet" in text
    assert "secret" not in text and "<b>" not in text and "Spikes" not in text


def test_names_are_escaped_and_links_lead_to_their_folder(tmp_path):
    name = 'a"><img src=x onerror=alert(1)># %41'
    write_run(tmp_path, name, 1_000_000)
    text = write_runs_page(tmp_path).read_text("utf-8")
    assert "<img src=x" not in text
    link = 'href="a%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%23%20%2541/index'
    assert link in text


def test_a_folder_without_runs_has_a_page_that_says_so(tmp_path):
    text = write_runs_page(tmp_path / "samples").read_text("utf-8")
    assert "No run has written a page yet." in text
    assert os.listdir(tmp_path / "samples") == ["index.html"]


def test_the_page_fetches_nothing_from_elsewhere(tmp_path):
    write_run(tmp_path, "run", 1_000_000)
    text = write_runs_page(tmp_path).read_text("utf-8")
    links = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sorted(links) == [
        "data:,",
        "run/index.html",
        "run/thumbnails/grid-0001000.webp",
    ]


def headings(text):
    """Returns the names of the runs, in order."""
    return re.findall("<h2>(.*?)</h2>", text)


def test_a_run_in_training_comes_first_unless_its_last_sign_is_old(tmp_path):
    now = time.time()
    write_run(tmp_path, "killed", now - 9e5, live=live("training", now - 9e5))
    write_run(tmp_path, "trains", now - 50, live=live("training", now - 50))
    write_run(tmp_path, "newest", now, live=live("stopped", now))
    text = write_runs_page(tmp_path).read_text("utf-8")
    assert headings(text) == ["trains", "newest", "killed"]
    # What it says must be true however long it is left open, scripts or none.
    assert len(re.findall(r"in training at \d{4}-\d\d-\d\d \d\d:\d\d UTC", text)) == 2
    assert '<dd class="state">Stopped</dd>' in text
    assert re.findall('data-live="(.*?)"', text) == ["trains", "killed"]


def test_pictures_size_and_state_are_told_also_of_an_older_version(tmp_path):
    write_run(tmp_path, "run", 1_000_000)
    text = write_runs_page(tmp_path).read_text("utf-8")
    assert "<dd>8 px</dd>" in text  # a grid of 64 pixels has eight columns
    assert '<dd class="state">Stopped</dd>' in text


def test_runs_moved_aside_and_all_but_the_newest_are_folded_away(tmp_path):
    for number in range(MOST_SHOWN + 1):
        write_run(tmp_path, f"run-{number:02d}", number)
    write_run(tmp_path, "run.before-20261128-053247", 1_000_000)
    text = write_runs_page(tmp_path).read_text("utf-8")
    shown, folded = text.split("<details>")
    assert headings(shown) == [f"run-{n:02d}" for n in range(MOST_SHOWN, 0, -1)]
    assert headings(folded) == ["run.before-20261128-053247", "run-00"]
    assert "2 older runs" in folded
