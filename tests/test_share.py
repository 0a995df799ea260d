"""Tests the list of what was made of a run, and what a page as one file leaves out."""

import json
import os
import re

import numpy as np
from PIL import Image
from tiny_run import TINY, empty_run

import generate
from commands.pictures.share import places_of
from gallery.made import MOST_MADE, made_in
from gallery.share import self_contained
from gallery.walks import write_walk
from settings.config import Config

RUN = "tiny.1"


def picture(path, level=90):
    Image.new("RGB", (40, 20), (level,) * 3).save(path)


def test_what_was_made_is_listed_newest_first_with_stills(tmp_path):
    folder = tmp_path / "generated"
    (folder / "images-1").mkdir(parents=True)
    picture(folder / "grid.png")
    picture(folder / "images-1/image-00000.png", 10)
    picture(folder / "images-1/image-00001.png", 250)
    write_walk(np.full((3, 20, 40, 3), 130, np.uint8), folder / "walk.mp4", 8)
    (folder / "flowers.keras").write_bytes(b"12345")
    (folder / "broken.webp").write_bytes(b"no picture")
    (folder / ".7.writing.half.png").touch()
    (folder / "empty").mkdir()
    for age, name in enumerate(("walk.mp4", "flowers.keras", "images-1", "grid.png")):
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    found, count = made_in(tmp_path)
    assert count == len(found) == 6
    old = [made.name for made in found[2:]]
    assert old == ["walk.mp4", "flowers.keras", "images-1", "grid.png"]
    by_name = {made.name: made for made in found}
    assert by_name["flowers.keras"].num_bytes == 5
    assert by_name["images-1"].path == "generated/images-1/"
    assert by_name["images-1"].num_files == 2
    for name in ("flowers.keras", "broken.webp", "empty"):
        assert by_name[name].thumbnail is None
    for name, level in (("grid.png", 90), ("images-1", 10), ("walk.mp4", 130)):
        with Image.open(tmp_path / by_name[name].thumbnail) as still:
            assert still.size == (40, 20)
            assert abs(np.asarray(still).mean() - level) < 4


def test_a_newer_picture_gets_a_new_still_and_long_lists_end(tmp_path):
    folder = tmp_path / "generated"
    folder.mkdir()
    assert made_in(tmp_path / "nowhere") == ([], 0)
    for number in range(MOST_MADE + 2):
        (folder / f"{number}.npy").touch()
    assert (len(made_in(tmp_path)[0]), made_in(tmp_path)[1]) == (48, 50)
    for level in (20, 200):
        picture(folder / "a.png", level)
        os.utime(folder / "a.png", (4e9 + level, 4e9 + level))
        made = made_in(tmp_path)[0][0]
        with Image.open(tmp_path / made.thumbnail) as still:
            assert abs(np.asarray(still).mean() - level) < 4


def test_one_file_links_to_no_other_and_allows_none(tmp_path):
    page = (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "script-src 'sha256-abc=' 'self' file:; img-src 'self' file:\">"
        '<nav class="crumb"><a href="../index.html">All runs</a></nav>'
        '<link rel="icon" href="data:,"><a href="#viewer">x</a><a href="a.json">y</a>'
        '<img src="a%20b.png"><img src="gone.png">'
        '<script type="application/json" id="data">{"iterations":[],"charts":[],'
        '"name":"\\u003c/script\\u003e"}</script>'
    )
    picture(tmp_path / "a b.png")
    shared = self_contained(tmp_path, page)
    assert "script-src 'sha256-abc=';" in shared
    assert "file:" not in shared and "'self'" not in shared
    assert "All runs" not in shared and "a.json" not in shared
    assert '<a href="#viewer">x</a><a>y</a>' in shared
    assert '<img src="data:image/webp;base64,' in shared
    assert '<img src="data:,">' in shared
    assert '"name":"\\u003c/script\\u003e","live":null,"files":{}}</script>' in shared


def test_a_long_run_shares_some_of_its_grids_both_ends_among_them(tmp_path):
    page = (
        '<span class="quiet" id="updated">Updated today</span>'
        '<script type="application/json" id="data">{"iterations":'
        f"{list(range(500, 140_001, 500))}"
        ',"charts":[]}</script>'
    )
    shared = self_contained(tmp_path, page)
    assert "Updated today, 100 of 280 grids<" in shared
    data = json.loads(re.search(r'id="data">(.*)</script>', shared)[1])
    assert len(data["iterations"]) == 100 and len(data["files"]) == 101
    assert data["iterations"][0] == 500 and data["iterations"][-1] == 140_000


def test_a_shared_page_keeps_the_machine_s_folders_to_itself(tmp_path):
    page = (
        "<td>/home/ann &amp; bob/roses</td><pre>path: /home/ann &amp; bob/roses</pre>"
    )
    shared = self_contained(tmp_path, page, ["/home/ann & bob/roses"])
    assert shared == "<td>roses</td><pre>path: roses</pre>"
    data = {"source": "folder", "path": "/home/ann/roses", "cache_dir": "cache"}
    config = Config.model_validate(TINY | {"data": TINY["data"] | data})
    assert places_of(config) == ["/home/ann/roses"]


def test_a_run_without_records_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    empty_run(RUN, 2)
    assert generate.main([RUN, "--kind", "share"]) == 2
    message = capsys.readouterr().err
    assert "origin.json" in message and "Traceback" not in message
