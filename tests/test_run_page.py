"""Tests a run's page by the files that are written: what it says, and how little."""

import base64
import hashlib
import json
import math
import os
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from gallery.charts import charts_of, spike_marks
from gallery.curves import MAX_POINTS, ordinary_range, thinned, trend_of
from gallery.pages import number_text, size_text
from gallery.run_page import Checkpoint, RunPage, write_run_page
from gallery.scalars import Scalars

HOSTILE = "</script><img src=x onerror=alert(1)>"


def write_grid(folder, iteration, colour=(0, 128, 0), side=64):
    """Writes a grid of one colour and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"grid-{iteration:07d}.png"
    Image.new("RGB", (side, side), colour).save(path)
    return path


def run_page(**changes):
    """Returns a page with little in it but what is asked for."""
    usual = {
        "name": "flowers",
        "iteration": 5000,
        "total_iterations": 20000,
        "scalars": Scalars([{"iteration": 100, "loss/generator": 1.5}]),
        "spikes": [],
        "events": [],
        "config_text": "run:\n  name: flowers\n",
        "preset": "configs/flowers.yaml",
        "differences": [],
        "facts": [],
        "checkpoints": [],
        "metric": None,
    }
    return RunPage(**usual | changes)


def written(folder, **changes):
    """Writes a page and returns its text."""
    return write_run_page(folder, run_page(**changes)).read_text("utf-8")


def data_of(text):
    """Returns what the page's scripts read."""
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


class Reader(HTMLParser):
    """Collects what a browser would see: elements with their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def links(self):
        """Returns all that an element fetches or leads to."""
        return [
            value
            for _, attributes in self.elements
            for name, value in attributes.items()
            if name in ("src", "href")
        ]


def test_grids_are_listed_in_order_and_the_last_one_is_on_the_page(tmp_path):
    for iteration in (3000, 12345678, 9999999, 1000):
        write_grid(tmp_path / "run", iteration)
    text = written(tmp_path / "run", iteration=12345678)
    assert data_of(text)["iterations"] == [1000, 3000, 9999999, 12345678]
    assert "grid-12345678.png" in Reader(text).links()


def test_grids_past_the_iteration_and_other_files_are_not_shown(tmp_path):
    write_grid(tmp_path / "run", 1000)
    write_grid(tmp_path / "run", 9000)
    for name in ("grid-1.png", "grid-00001000.png", "grid-0002000.png.part"):
        shutil.copy(tmp_path / "run/grid-0001000.png", tmp_path / "run" / name)
    (tmp_path / "run/grid-0003000.png").mkdir()
    text = written(tmp_path / "run", iteration=5000)
    assert data_of(text)["iterations"] == [1000]


@pytest.mark.parametrize("content", [b"", b"not a picture", None])
def test_a_grid_that_cannot_be_read_is_left_out_and_named(tmp_path, content):
    whole = write_grid(tmp_path / "run", 1000, side=256).read_bytes()
    bad = tmp_path / "run/grid-0002000.png"
    bad.write_bytes(whole[: len(whole) // 2] if content is None else content)
    text = written(tmp_path / "run")
    assert data_of(text)["iterations"] == [1000]
    assert "grid-0002000.png" in Reader(text).text


def test_a_grid_damaged_after_its_thumbnail_is_not_the_latest(tmp_path):
    write_grid(tmp_path / "run", 1000)
    grid = write_grid(tmp_path / "run", 2000)
    written(tmp_path / "run")
    times = grid.stat()
    grid.write_bytes(b"damaged")
    os.utime(grid, ns=(times.st_atime_ns, times.st_mtime_ns))
    text = written(tmp_path / "run")
    assert data_of(text)["iterations"] == [1000]
    assert "grid-0002000.png" in Reader(text).text


def test_a_thumbnail_is_small_and_written_once(tmp_path):
    write_grid(tmp_path / "run", 1000, colour=(200, 40, 90), side=1024)
    written(tmp_path / "run")
    thumbnail = tmp_path / "run/thumbnails/grid-0001000.webp"
    with Image.open(thumbnail) as picture:
        assert picture.size == (512, 512)
        colour = np.asarray(picture.convert("RGB"))[256, 256].astype(int)
    # WebP is lossy, and keeps a plain colour to a few steps of 256.
    np.testing.assert_allclose(colour, (200, 40, 90), atol=6)
    before = thumbnail.stat()
    written(tmp_path / "run")
    assert thumbnail.stat() == before


def test_a_thumbnail_follows_a_grid_that_was_written_anew(tmp_path):
    write_grid(tmp_path / "run", 1000, colour=(0, 0, 0))
    written(tmp_path / "run")
    thumbnail = tmp_path / "run/thumbnails/grid-0001000.webp"
    os.utime(thumbnail, (1, 1))
    write_grid(tmp_path / "run", 1000, colour=(255, 255, 255))
    written(tmp_path / "run")
    with Image.open(thumbnail) as picture:
        assert np.asarray(picture.convert("RGB")).min() > 240


def test_a_page_before_the_first_grid_says_so(tmp_path):
    text = written(tmp_path / "run", scalars=Scalars(), iteration=0)
    assert "No grid yet." in text
    assert data_of(text)["iterations"] == []
    assert json.loads((tmp_path / "run/summary.json").read_text())["grid"] is None


def test_everything_in_the_page_is_escaped(tmp_path):
    write_grid(tmp_path / "run", 1000)
    card = {"metrics": {HOSTILE: 0.5}, "extractor": {"name": HOSTILE}}
    (tmp_path / "run/card-1.json").write_text(json.dumps(card))
    rows = [{"iteration": 1, f"metric/{HOSTILE}": 1.0}]
    text = written(
        tmp_path / "run",
        name=HOSTILE,
        config_text=HOSTILE,
        preset=HOSTILE,
        scalars=Scalars(rows),
        metric=f"metric/{HOSTILE}",
        spikes=[{"iteration": 5, HOSTILE: HOSTILE, "network": HOSTILE}],
        differences=[(HOSTILE, HOSTILE, HOSTILE)],
        facts=[(HOSTILE, HOSTILE)],
        checkpoints=[Checkpoint(1, f"javascript:{HOSTILE}", 1)],
    )
    reader = Reader(text)
    assert not [a for tag, a in reader.elements if tag == "img" and a["src"] == "x"]
    assert not [link for link in reader.links() if link.startswith("javascript:")]
    assert text.count("</script>") == 2
    # And nothing was lost: name, preset, config and the rest stand there as text.
    assert reader.text.count(HOSTILE) >= 12
    assert data_of(text)["spikes"]["text"] == [f"spike, {HOSTILE}"]


def test_the_page_fetches_nothing_from_elsewhere(tmp_path):
    write_grid(tmp_path / "run", 1000)
    write_grid(tmp_path / "run", 1000).rename(tmp_path / "run/reals.png")
    write_grid(tmp_path / "run", 1000)
    checkpoints = [Checkpoint(1000, "../../runs/a b#c/checkpoints/1", 1)]
    text = written(tmp_path / "run", checkpoints=checkpoints)
    links = Reader(text).links()
    assert {"reals.png", "../index.html"} <= set(links)
    assert "../../runs/a%20b%23c/checkpoints/1" in links
    assert not [link for link in links if re.match("[a-z]+:(?!,$)|//", link)]


def test_only_the_pages_own_scripts_may_run(tmp_path):
    text = written(tmp_path / "run")
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    metas = [dict(a) for tag, a in Reader(text).elements if tag == "meta"]
    policy = next(m["content"] for m in metas if "http-equiv" in m)
    assert f"script-src 'sha256-{digest}' 'self' file:" in policy
    assert policy.startswith("default-src 'none'")


def test_plotly_is_written_once_for_all_runs(tmp_path):
    first = data_of(written(tmp_path / "one"))["plotly"]
    path = (tmp_path / "one" / first).resolve()
    assert path.parent == tmp_path / ".assets"
    assert path.read_text("utf-8") == get_plotlyjs()
    before = path.stat()
    assert data_of(written(tmp_path / "two"))["plotly"] == first
    assert path.stat() == before
    assert len(list(path.parent.iterdir())) == 1


def test_nothing_but_the_named_files_is_left_behind(tmp_path):
    write_grid(tmp_path / "run", 1000)
    written(tmp_path / "run")
    assert sorted(os.listdir(tmp_path)) == [".assets", "run"]
    names = ["grid-0001000.png", "index.html", "page-data.js", "summary.json"]
    assert sorted(os.listdir(tmp_path / "run")) == [*names, "thumbnails"]
    assert os.listdir(tmp_path / "run/thumbnails") == ["grid-0001000.webp"]


def test_the_best_metric_is_the_lowest_and_is_told_with_its_floor(tmp_path):
    values = {1000: 0.9, 2000: 0.4, 3000: 0.6}
    rows = [
        {"iteration": n, "metric/kd_x": value, "metric/kd_x_floor": 0.01}
        for n, value in values.items()
    ]
    text = written(tmp_path / "run", scalars=Scalars(rows), metric="metric/kd_x")
    words = " ".join(Reader(text).text.split())
    assert "Kernel distance at best 0.4000 (iteration 2,000, floor 0.0100)" in words
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["best"] == {
        "title": "Kernel distance",
        "metric": "metric/kd_x",
        "value": 0.4,
        "iteration": 2000,
        "floor": 0.01,
    }


def test_the_ledger_shows_every_key_and_counts_what_it_leaves_out(tmp_path):
    spikes = [{"iteration": n, "network": "generator"} for n in range(400)]
    spikes[-1] |= {"skipped": True, "largest_finite": 67072.0, "new_key": None}
    text = written(tmp_path / "run", spikes=spikes)
    ledger = text[text.index('id="spikes"') : text.index('id="config"')]
    assert ledger.count("<tr>") == 301
    words = ("iteration", "network", "iteration skipped", "largest gradient", "new key")
    for key in words:
        assert f'<th scope="col">{key}</th>' in ledger
    assert "the last 300 of 400, 100 earlier ones" in ledger
    first = re.search(r"<tbody>\s*<tr>(.*?)</tr>", ledger)[1]
    cells = re.findall(r"<td>(.*?)</td>", first)
    assert cells[1:] == ["generator", "yes", "67,072", "\u2013"]
    assert 'data-iteration="399"' in cells[0]


def test_cards_are_a_table_and_broken_ones_are_named(tmp_path):
    folder = tmp_path / "run"
    write_grid(folder, 1000)
    good = {
        "iteration": 1000,
        "extractor": {"name": "mobilenetv2"},
        "metrics": {"kd": 0.4965, "fd": math.inf, "odd": "text"},
        "floor": {"kd": -0.0001},
        "num_fake": 5000,
        "neighbours": "near.png",
        "markdown": "../elsewhere.md",
        "unknown": [1],
    }
    (folder / "near.png").write_bytes(b"")
    (tmp_path / "elsewhere.md").write_bytes(b"")
    (folder / "card-a.json").write_text(json.dumps(good))
    for name, content in {"b": b"{", "c": b"[]", "d": b"\xff"}.items():
        (folder / f"card-{name}.json").write_bytes(content)
    (folder / "card-e.json").write_text('{"metrics": [], "extractor": 7}')
    average = good | {"iteration": 2000, "average": "9 checkpoints"}
    (folder / "card-f.json").write_text(json.dumps(average))
    reader = Reader(written(folder))
    for words in ("mobilenetv2", "0.4965", "-0.0001", "5,000", "card-b.json"):
        assert words in reader.text
    assert "2,000, a longer average" in reader.text
    assert reader.text.count("a longer average") == 1
    assert "card-c.json" in reader.text and "card-d.json" in reader.text
    assert {"card-a.json", "near.png", "card-e.json"} <= set(reader.links())
    assert not [link for link in reader.links() if "elsewhere" in link]


def test_config_differences_facts_and_checkpoints_are_told(tmp_path):
    text = written(
        tmp_path / "run",
        differences=[("training.batch_size", "16", "32")],
        facts=[("Device", "two cores")],
        checkpoints=[
            Checkpoint(1000, "1", 512, is_milestone=True),
            Checkpoint(2000, "2", 5 * 2**20, is_best=True),
        ],
    )
    words = " ".join(Reader(text).text.split())
    assert "Started with configs/flowers.yaml. What differs from it:" in words
    assert "<td><code>16</code></td><td><code>32</code></td>" in text
    assert "run: name: flowers" in words
    assert "<dt>Device</dt><dd>two cores</dd>" in text
    assert "2,000latestbest5.0 MiB 1,000milestone512 bytes" in words


def test_numbers_that_json_cannot_say_are_left_out(tmp_path):
    values = (math.nan, math.inf, 1.0, -math.inf, 10**400, "2", None, True)
    rows = [
        {"iteration": n, "loss/generator": v, "metric/kd": v}
        for n, v in enumerate(values)
    ]
    rows += [{"loss/generator": 5.0}, {"iteration": math.nan, "loss/generator": 5.0}]
    spikes = [{"iteration": math.nan}, {}, {"iteration": 7, "largest": math.inf}]
    text = written(
        tmp_path / "run", scalars=Scalars(rows), spikes=spikes, metric="metric/kd"
    )
    data = data_of(text)
    assert [chart["curves"][0]["y"] for chart in data["charts"]] == [[1.0], [1.0]]
    assert data["spikes"]["x"] == [7]
    assert not re.search(
        r"\bNaN\b|\bInfinity\b", text[text.index('id="data"') :][:2000]
    )


def test_text_that_utf8_cannot_say_does_not_stop_the_page(tmp_path):
    assert "odd ? text" in written(tmp_path / "run", config_text="odd \ud800 text")


def test_thinning_keeps_a_spike_and_the_ends():
    rng = np.random.default_rng(0)
    x = np.arange(14_000)
    for place in (0, 1, 6_999, 13_998, 13_999):
        y = rng.normal(size=len(x))
        y[place], y[(place + 5_000) % len(x)] = 1e6, -1e6
        thin_x, thin_y = thinned(x, y)
        assert len(thin_x) <= MAX_POINTS
        assert {1e6, -1e6} <= set(thin_y)
        assert thin_x[0] == 0 and thin_x[-1] == 13_999
        np.testing.assert_array_equal(thin_y, y[thin_x])
        assert (np.diff(thin_x) > 0).all()


def test_a_trend_is_the_median_of_each_part_and_no_spike_moves_it():
    x = np.arange(100, 100 + 450)
    y = x.astype(float)
    y[4] = 1e9
    trend = trend_of(x, y)
    # Three rows a part: each median is the middle one, but 105 where 104 is the spike.
    assert trend["x"] == list(range(101, 550, 3))
    assert trend["y"] == [101.0, 105.0, *range(107, 550, 3)]
    assert trend_of(x[:299], y[:299]) is None


def test_metrics_are_never_thinned_and_have_their_floor():
    rows = [
        {"iteration": n, "metric/kd": n / 7, "metric/kd_floor": 0.1}
        for n in range(5000)
    ]
    (chart,) = charts_of(Scalars(rows))
    assert [len(curve["x"]) for curve in chart["curves"]] == [5000, 5000]
    assert [curve["role"] for curve in chart["curves"]] == ["metric", "floor"]


def test_what_stays_the_same_has_no_chart_where_that_says_nothing():
    keys = ("augment/probability", "learning_rate/generator", "loss/generator")
    same = [{"iteration": n} | dict.fromkeys(keys, 0.5) for n in range(3)]
    assert [chart["title"] for chart in charts_of(Scalars(same))] == ["Losses"]
    varied = [*same, {"iteration": 3} | dict.fromkeys(keys, 0.6)]
    titles = [chart["title"] for chart in charts_of(Scalars(varied))]
    assert titles == ["Losses", "Augmentation probability", "Learning rates"]


def test_a_burst_of_spikes_does_not_flatten_an_axis():
    rows = [{"iteration": k, "loss/generator": 1 + k % 5 / 10} for k in range(60)]
    for row in rows[20:40]:
        row |= {"loss/generator": 3e4, "spike/generator": 500.0}
    (chart,) = [one for one in charts_of(Scalars(rows)) if one["title"] == "Losses"]
    lowest, highest = chart["range"]
    assert 0.9 < lowest < 1 and 1.4 < highest < 1.5


def test_one_spike_does_not_flatten_an_axis():
    y = np.concatenate([np.linspace(1, 2, 100), [30_000.0]])
    lowest, highest = ordinary_range([y], [y])
    assert 0.9 < lowest < 1 and 2 < highest < 2.1
    assert ordinary_range([y[:100]], [y[:100]]) is None
    assert ordinary_range([np.ones(50)], [np.ones(50)]) is None


def test_a_share_is_shown_whole_and_a_loss_without_its_spike():
    rows = [{"iteration": n, "loss/generator": 1 + n / 100} for n in range(100)]
    rows = [
        row | {"gradient/generator_above_knee": 0.1 + row["iteration"] / 1e4}
        for row in rows
    ]
    rows[50] |= {"loss/generator": 30_000.0, "gradient/generator_above_knee": 1.0}
    ranges = {chart["title"]: chart["range"] for chart in charts_of(Scalars(rows))}
    assert ranges["Gradients above the knee"] is None
    assert ranges["Losses"][1] < 3


def test_many_spikes_are_few_marks_that_say_how_many():
    spikes = [{"iteration": n, "network": "generator"} for n in range(20_000)]
    marks = spike_marks(spikes)
    assert len(marks["x"]) == len(marks["text"]) == 400
    assert marks["text"][0] == "50 spikes, generator"
    assert marks["x"][:3] == [0, 50, 100]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (5, "5"),
        (0.49651, "0.4965"),
        (210.44, "210.4"),
        (30174.6, "30,175"),
        (-0.0001, "-0.0001"),
        (6.71e-05, "6.71e-05"),
        (3.1e15, "3.1e+15"),
        (math.inf, "inf"),
    ],
)
def test_numbers_are_short(value, text):
    assert number_text(value) == text


def test_sizes_are_short():
    sizes = [size_text(n) for n in (0, 1023, 1536, 200 * 2**20, 3 * 2**40)]
    assert sizes == ["0 bytes", "1023 bytes", "1.5 KiB", "200 MiB", "3.0 TiB"]


def test_the_explorer_is_linked_once_it_is_there(tmp_path):
    assert "explore.html" not in written(tmp_path / "run")
    (tmp_path / "run/explore.html").write_text("")
    assert "explore.html" in Reader(written(tmp_path / "run")).links()


def test_two_spikes_that_recovered_are_no_alarm_and_one_that_was_skipped_is(tmp_path):
    spike = {"iteration": 5, "network": "generator", "loss_before": 1.0}
    spikes = [spike | {"recovered_after": 9, "skipped": False}] * 2
    text = written(tmp_path / "run", spikes=spikes)
    assert '<a href="#spikes">2 spikes</a></span>' in text
    assert "9 iterations" in text
    last = spike | {"recovered_after": None, "skipped": True}
    text = written(tmp_path / "run", spikes=[*spikes, last])
    assert '<a class="spiked" href="#spikes">3 spikes</a>' in text
    assert "(1 skipped, 1 not recovered yet)" in text
