"""--doctor on a messy folder, and the hashes by which it finds copies."""

import contextlib

import numpy as np
import pytest
from PIL import Image
from tiny_run import train_here, tree, write_config

from data.duplicates import difference_hash, groups_of, near_pairs
from gallery.contact_sheet import contact_sheet


def picture(seed, side=120):
    """Returns smooth blobs, unlike those of any other seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """Runs --doctor on a folder of troubles; returns its folder."""
    folder = tmp_path_factory.mktemp("messy")
    photographs = folder / "photographs"
    photographs.mkdir()
    for number in range(8):
        picture(number).save(photographs / f"{number}.png")
    picture(0).save(photographs / "copy.png")
    picture(1, 60).save(photographs / "resized.jpg", quality=80)
    picture(20).convert("CMYK").save(photographs / "print.jpg")
    picture(21, 20).save(photographs / "small.png")
    picture(22).resize((400, 100)).save(photographs / "wide.png")
    Image.new("RGB", (90, 90), "white").save(photographs / "blank.png")
    whole = (photographs / "print.jpg").read_bytes()
    (photographs / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (photographs / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    for number in range(6):
        (photographs / f"notes-{number}.txt").write_text("not a picture")
    write_config(
        folder,
        data={"source": "folder", "path": "photographs"},
        augment={"policy": "adaptive"},
    )
    with contextlib.chdir(folder):
        assert train_here("--doctor") == 0
    return folder


def section(folder, title):
    """Returns the lines below a title of the report, what to do left out."""
    lines = (folder / "samples/tiny/doctor/report.txt").read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(title)) + 1
    last = next(n for n in range(first, len(lines)) if "what to do" in lines[n])
    return [line.strip() for line in lines[first:last]]


def test_every_trouble_is_named(messy):
    assert section(messy, "HEIC") == ["IMG_1.HEIC"]
    assert section(messy, "the same twice") == ["0.png = copy.png"]
    assert section(messy, "nearly the same") == ["1.png ~ resized.jpg"]
    assert section(messy, "blank") == ["blank.png (90 x 90)"]
    assert section(messy, "smaller than") == ["small.png (20 x 20)"]
    assert section(messy, "panoramas") == ["wide.png (400 x 100)"]
    broken = section(messy, "not usable")
    assert len(broken) == 7 and broken[0].startswith("broken.jpg (")
    report = (messy / "samples/tiny/doctor/report.txt").read_text()
    assert "14 usable photographs of 22 files" in report
    assert "1 JPEG CMYK" in report
    assert "with fewer than 1,000, start from a trained run" in report


def test_nothing_but_a_report_and_two_sheets_is_written(messy):
    written = {name for name in tree(messy) if not name.startswith("photographs/")}
    sheets = {f"samples/tiny/doctor/{name}.png" for name in ("crops", "augmented")}
    assert written == {"tiny.yaml", "samples/tiny/doctor/report.txt"} | sheets
    with Image.open(messy / "samples/tiny/doctor/crops.png") as sheet:
        assert sheet.size == (8 * 100 + 4, 2 * 100 + 4)  # 14 crops, with gaps


def test_the_terminal_shows_five_of_a_long_list(messy, monkeypatch, capsys):
    monkeypatch.chdir(messy)
    assert train_here("--doctor") == 0
    said = capsys.readouterr().out
    assert "and 2 more" in said
    assert "notes-5.txt" not in said


def test_a_folder_without_any_photograph_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs/notes.txt").write_text("not a picture")
    write_config(tmp_path, data={"source": "folder", "path": "photographs"})
    assert train_here("--doctor") == 2
    assert "no usable photograph" in capsys.readouterr().err


def test_a_hash_survives_size_and_brightness_but_not_another_picture():
    pixels = np.asarray(picture(3))
    darker = (pixels * 0.7).astype(np.uint8)
    smaller = np.asarray(picture(3, 50))
    others = [np.asarray(picture(seed)) for seed in (4, 5)]
    hashes = np.stack([difference_hash(p) for p in (pixels, darker, smaller, *others)])
    assert sorted(near_pairs(hashes)) == [(0, 1), (0, 2), (1, 2)]


def test_pairs_that_share_a_member_are_one_group():
    assert groups_of(iter([(0, 1), (5, 6), (1, 4)])) == [[0, 1, 4], [5, 6]]


def test_a_contact_sheet_enlarges_and_has_gaps_and_labels():
    images = np.stack([np.full((32, 32, 3), grey, np.uint8) for grey in (10, 200, 90)])
    sheet = np.asarray(contact_sheet(images, 2, ("a", "b")))
    assert sheet.shape == (22 + 2 * 100 + 4, 2 * 100 + 4, 3)
    assert sheet[30, 50].tolist() == [10] * 3
    assert sheet[30, 150].tolist() == [200] * 3
    assert sheet[30, 102].tolist() == [255] * 3  # the gap
