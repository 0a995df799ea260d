"""The benchmark of few photographs: its species as folders, its tables and pictures."""

import argparse
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from benchmarks import few_photographs, species
from benchmarks.recipes.plan import Mark, Queue, Setting
from records.run_folder import RunFolder
from settings.messages import Problem

BEGIN, END = few_photographs.MARKERS
REDS = {"anew": 40, "from-flowers": 200, "from-75000": 90}
ITERATIONS = {"anew": [500], "from-flowers": [1, 500], "from-75000": [500]}


@pytest.fixture
def queue():
    """Returns a queue of a species, with two seeds."""
    settings = tuple(
        Setting(
            name=f"dahlia-{start}",
            reason="few",
            config="few.yaml",
            overrides={"data.path": "cache/species/orange dahlia"},
            seeds=(0, 1),
            marks=tuple(Mark("iterations", amount) for amount in iterations),
            extractor="random",
            num_images=10,
        )
        for start, iterations in ITERATIONS.items()
    )
    return Queue("few", settings)


def row(start, seed, kds, state="finished"):
    """Returns a row with a kernel distance for each iteration; None is missed."""
    scores = [
        {"mark": f"{at} iterations"} | ({"missed": True} if kd is None else {"kd": kd})
        for at, kd in kds.items()
    ]
    told = {"setting": f"dahlia-{start}", "seed": seed, "state": state}
    return told | {"scores": scores}


ROWS = [
    row("anew", 0, {100: 9.0, 500: 4.0}),  # of an older queue, too
    row("anew", 1, {}, "diverged"),
    row("from-flowers", 0, {1: 2.0, 500: 0.5}),
    row("from-flowers", 1, {1: None, 500: 1.5}),
    row("from-75000", 0, {500: 0.25}),
    row("from-75000", 1, {500: 0.75}),
]


def write_samples(run, **reds):
    """Writes grids of 8 by 8 tiles of 8 pixels, each of a color of its own."""
    run.samples.mkdir(parents=True)
    for name, red in reds.items():
        places = np.repeat(np.arange(8) * 30, 8)
        grid = np.full((64, 64, 3), red, np.uint8)
        grid[:, :, 1], grid[:, :, 2] = places[:, None], places
        Image.fromarray(grid).save(run.samples / f"{name.replace('_', '-')}.png")


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Returns a page in a folder with the runs that are shown."""
    monkeypatch.chdir(tmp_path)
    for start, red in REDS.items():
        run = RunFolder(f"few-dahlia-{start}-seed0")
        write_samples(run, reals=120, grid_0000001=0, grid_0000500=red)
    page = tmp_path / "few.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    return page


def test_the_page_has_every_seed_and_the_samples_at_the_end(page, queue):
    few_photographs.write_report(page, queue, ROWS)
    text = page.read_text()
    assert text.startswith("before") and text.endswith("after\n") and "old" not in text
    assert "### orange dahlia" in text and "9.00" not in text
    assert "| after | anew | from weights of 15,000 | from weights of 75,000 |" in text
    assert (
        "| 1 iteration | diverged | 2.00 | - | diverged against 2.00 against - |"
        in text
    )
    assert "| 500 iterations | 4.00, diverged | 0.50, 1.50 | 0.25, 0.75 |" in text
    assert "| diverged against 1.00 against 0.50 |" in text
    shown = {
        "few-dahlia": ("anew", "from-flowers"),
        "few-dahlia-75000": ("from-75000",),
    }
    for name, starts in shown.items():
        assert f"]({name}.webp)" in text
        check_picture(page.with_name(f"{name}.webp"), [120, *map(REDS.get, starts)])


def check_picture(path, reds):
    """Compares a picture's parts with the first four rows and columns of grids."""
    with Image.open(path) as picture:
        shown = np.asarray(picture).astype(int)
    side, gap = 4 * 8, few_photographs.GAP
    assert shown.shape == (side, len(reds) * (side + gap) - gap, 3)
    for place, red in enumerate(reds):
        part = shown[4::8, place * (side + gap) + 4 :: 8][:, :4]
        expected = [[(red, 30 * y, 30 * x) for x in range(4)] for y in range(4)]
        assert np.abs(part - expected).max() < 25, place


def test_a_picture_whose_runs_are_gone_is_kept(page, queue, capsys):
    few_photographs.write_report(page, queue, ROWS)
    picture = page.with_name("few-dahlia.webp")
    before = picture.read_bytes()
    shutil.rmtree("samples")
    few_photographs.write_report(page, queue, ROWS)
    assert picture.read_bytes() == before
    assert "left as it is" in capsys.readouterr().err
    assert "](few-dahlia.webp)" in page.read_text()
    picture.unlink()
    few_photographs.write_report(page, queue, ROWS)
    assert "](few-dahlia.webp)" not in page.read_text()


@pytest.mark.parametrize(
    "rows", [[], ROWS[:5], [*ROWS[:5], ROWS[5] | {"state": "unfinished"}]]
)
def test_a_queue_that_is_not_over_is_not_reported(tmp_path, queue, rows):
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    with pytest.raises(Problem, match=f"{len(rows[:5])} of 6 runs are over"):
        few_photographs.finished_rows(queue, path)
    path.write_text("".join(json.dumps(one) + "\n" for one in reversed(ROWS)))
    found = few_photographs.finished_rows(queue, path)
    assert [(one["setting"], one["seed"]) for one in found] == [
        (f"dahlia-{start}", seed) for seed in (0, 1) for start in REDS
    ]


def options(folder, flowers_folder, *names):
    return argparse.Namespace(
        species=list(names), data_dir=flowers_folder / "tfds", out=folder
    )


def test_a_species_becomes_a_folder_of_its_photographs(tmp_path, flowers_folder):
    species.write_species(options(tmp_path, flowers_folder, "orange dahlia"))
    assert [path.name for path in tmp_path.iterdir()] == ["orange dahlia"]
    paths = sorted((tmp_path / "orange dahlia").iterdir())
    assert len(paths) == 67 and paths[0].name == "0001.jpg"
    reds = []
    for path in paths:
        with Image.open(path) as photograph:
            assert photograph.format == "JPEG"
            red, _, blue = np.asarray(photograph).mean((0, 1))
        reds.append(red > blue)
    assert np.mean(reds) > 0.9  # most are orange


def test_a_species_that_is_none_is_refused_with_the_names(tmp_path, flowers_folder):
    with pytest.raises(Problem, match="no species orange dalia\n.*orange dahlia"):
        species.write_species(options(tmp_path, flowers_folder, "orange dalia"))
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_left_alone(tmp_path, flowers_folder):
    for _ in range(2):  # again is no mistake
        species.write_species(options(tmp_path, flowers_folder, "orange dahlia"))
    folder = tmp_path / "orange dahlia"
    (folder / "0001.jpg").write_bytes(b"cut")
    (folder / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(Problem, match="has other files\n.*\n.*mine.jpg"):
        species.write_species(options(tmp_path, flowers_folder, "orange dahlia"))
    (folder / "mine.jpg").unlink()
    species.write_species(options(tmp_path, flowers_folder, "orange dahlia"))
    assert len((folder / "0001.jpg").read_bytes()) > 1000


def test_without_a_name_all_species_are_listed(tmp_path, flowers_folder, capsys):
    species.write_species(options(tmp_path, flowers_folder))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 102 and lines[0] == " 258 petunia"
    assert not list(tmp_path.iterdir())
