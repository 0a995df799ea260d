"""--doctor on a messy folder, and the hashes by which it finds copies."""

import contextlib
import errno
import time

import numpy as np
import pytest
from PIL import Image
from tiny_run import NAME, train_here, tree, write_config

from commands.preflight.doctor import (
    advice_of,
    class_facts,
    class_findings,
    findings,
    text_of,
)
from commands.preflight.sheets import augmented, write_sheets
from data import crop
from data.duplicates import difference_hash, groups_of, near_pairs
from data.examine import Seen
from gallery.contact_sheet import contact_sheet
from settings.config_file import load_config


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
    picture(23).resize((100, 400)).save(photographs / "tall.png")
    for name in ("blank", "empty"):
        Image.new("RGB", (90, 90), "white").save(photographs / f"{name}.png")
    whole = (photographs / "print.jpg").read_bytes()
    (photographs / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (photographs / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (photographs / "renamed.jpg").write_bytes(b"\0\0\0\x18ftypmsf1" + bytes(99))
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
    assert section(messy, "HEIC") == ["IMG_1.HEIC", "renamed.jpg"]
    assert section(messy, "the same twice") == ["0.png = copy.png"]
    assert section(messy, "nearly the same") == ["1.png ~ resized.jpg"]
    blank = ["blank.png (90 x 90)", "empty.png (90 x 90)"]
    assert section(messy, "blank") == blank
    assert section(messy, "smaller than") == ["small.png (20 x 20)"]
    panoramas = ["tall.png (100 x 400)", "wide.png (400 x 100)"]
    assert section(messy, "panoramas") == panoramas
    (broken,) = section(messy, "damaged")
    assert broken.startswith("broken.jpg (")
    others = section(messy, "no photographs")
    assert others == [f"notes-{number}.txt" for number in range(6)]
    report = (messy / "samples/tiny/doctor/report.txt").read_text()
    assert "16 usable photographs of 25 files" in report
    assert "advice for 14 different photographs" in report
    assert "1 JPEG CMYK" in report
    assert "with fewer than 1,000, start from a run" in report


def test_nothing_but_a_report_and_two_sheets_is_written(messy):
    written = {name for name in tree(messy) if not name.startswith("photographs/")}
    sheets = {f"samples/tiny/doctor/{name}.png" for name in ("crops", "augmented")}
    assert written == {"tiny.yaml", "samples/tiny/doctor/report.txt"} | sheets
    with Image.open(messy / "samples/tiny/doctor/crops.png") as sheet:
        assert sheet.size == (8 * 100 + 4, 2 * 100 + 4)  # 16 crops, with gaps


def test_the_terminal_shows_five_of_a_long_list(messy, monkeypatch, capsys):
    monkeypatch.chdir(messy)
    assert train_here("--doctor") == 0
    said = capsys.readouterr().out
    assert "and 1 more" in said
    assert "notes-5.txt" not in said
    for name in ("report.txt", "crops.png", "augmented.png"):
        assert (messy / "samples/tiny/doctor" / name).as_uri() in said


def test_a_folder_without_any_photograph_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs/notes.txt").write_text("not a picture")
    write_config(tmp_path, data={"source": "folder", "path": "photographs"})
    assert train_here("--doctor") == 2
    told = capsys.readouterr()
    assert "no usable photograph" in told.err
    assert "advice" not in told.out


def test_a_hash_survives_size_and_brightness_but_not_another_picture():
    pixels = np.asarray(picture(3))
    darker = (pixels * 0.7).astype(np.uint8)
    smaller = np.asarray(picture(3, 50))
    others = [np.asarray(picture(seed)) for seed in (4, 5)]
    hashes = np.stack([difference_hash(p) for p in (pixels, darker, smaller, *others)])
    assert near_pairs(hashes).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_hashes_are_near_up_to_40_of_256_bits():
    bits = np.zeros((3, 256), bool)
    bits[1, :40] = bits[2, -41:] = True
    hashes = np.packbits(bits, axis=1).view(np.uint64)
    assert near_pairs(hashes).tolist() == [[0, 1]]
    assert near_pairs(hashes[:0]).shape == (0, 2)


def test_pairs_that_share_a_member_are_one_group():
    pairs = np.array([(0, 1), (5, 6), (1, 4)])
    assert groups_of(pairs, 8) == [[0, 1, 4], [5, 6]]
    assert groups_of(pairs[:0], 8) == []


def test_a_thousand_frames_of_one_film_are_grouped_at_once():
    began = time.monotonic()
    pairs = near_pairs(np.zeros((1000, 4), np.uint64))
    assert groups_of(pairs, 1000) == [list(range(1000))]
    assert time.monotonic() - began < 10  # joined pair by pair: half a minute


def seen_of(count, **changes):
    """Returns so many different photographs of 300 x 300 pixels."""
    crops = [np.full((8, 8, 3), number, np.uint8) for number in range(count)]
    return [
        Seen(f"{number:03d}.jpg", size=(300, 300), digest=bytes([number]), **changes)
        if "pixels" not in changes
        else Seen(f"{number:03d}.jpg", digest=bytes([number]), pixels=crops[number])
        for number in range(count)
    ]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Returns the config of a run that learns from a folder, four at a time."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    write_config(tmp_path, data={"source": "folder", "path": "photographs"})
    return load_config(f"{NAME}.yaml", [])


def test_a_group_shows_five_members_and_the_report_has_all(config):
    frames = [
        Seen(f"{n}.jpg", size=(300, 300), digest=b"one", format="JPEG")
        for n in range(7)
    ]
    (same,) = findings(frames, frames, config)
    assert "  0.jpg = 1.jpg = 2.jpg = 3.jpg = 4.jpg = 2 more\n" in text_of(same, 5)
    assert "5.jpg = 6.jpg\n" in text_of(same, 99)


def test_odd_names_are_shown_in_ascii(config):
    (broken,) = findings([Seen("a\nb.jpg", "cut")], [], config)
    assert "a\\nb.jpg" in text_of(broken, 5)


def test_advice_suits_number_and_size(config):
    few = "\n".join(advice_of(config, seen_of(3), "mine.yaml"))
    assert "3 different photographs" in few and "training.batch_size=3" in few
    assert "--from RUN" in few and "smaller preset" not in few
    enough = "\n".join(advice_of(config, seen_of(8), "mine.yaml"))
    assert "batch_size" not in enough
    tiny = [Seen(f"{n}.jpg", size=(20, 90), digest=bytes([n])) for n in range(5)]
    assert "choose a smaller preset" in "\n".join(advice_of(config, tiny, "mine.yaml"))
    assert advice_of(config, [], "mine.yaml") == []
    drawn = config.model_copy(
        update={"data": config.data.model_copy(update={"source": "drawn"})}
    )
    assert advice_of(drawn, seen_of(8), "mine.yaml") == []


def in_folders(**counts):
    """Returns photographs in sub-folders; those in "_" are in none."""
    return [
        Seen(f"{n}.png" if folder == "_" else f"{folder}/old/{n}.png", size=(99, 99))
        for folder, count in counts.items()
        for n in range(count)
    ]


def learning_classes(config, is_conditional=True):
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"conditional": is_conditional}),
            "data": config.data.model_copy(update={"source": "folder"}),
        }
    )


def test_sub_folders_are_counted_from_the_rarest_to_the_commonest(config):
    usable = in_folders(roses=30, 银莲花=3, tulips=19, _=2)
    words = "sub-folders: 3 classes, from 3 images (银莲花) to 30 (roses)"
    assert class_facts(usable, learning_classes(config)) == [words]
    (told,) = class_facts(usable, learning_classes(config, is_conditional=False))
    assert told == f"{words}; model.conditional: true would learn them"
    assert class_facts(in_folders(roses=30, _=5), learning_classes(config)) == []
    assert class_facts(in_folders(a=4, b=4), learning_classes(config)) == [
        "sub-folders: 2 classes of 4 images each"
    ]


def test_small_classes_and_photographs_in_none_are_named_where_classes_are_learnt(
    config,
):
    usable = in_folders(roses=30, 银莲花=3, tulips=19, _=2)
    small, outside = class_findings(usable, learning_classes(config))
    assert small.what == "classes of fewer than 20 photographs"
    assert small.groups == [["银莲花 (3)"], ["tulips (19)"]]
    assert outside.groups == [["0.png"], ["1.png"]]
    assert class_findings(in_folders(a=20, b=20), learning_classes(config)) == []
    unasked = learning_classes(config, is_conditional=False)
    assert class_findings(usable, unasked) == []


def test_the_sheet_of_crops_is_of_the_whole_folder(config, tmp_path):
    (sheet,) = write_sheets(config, seen_of(100, pixels=True), tmp_path)
    shown = np.asarray(Image.open(sheet))
    assert shown[10, 10].tolist() == [0] * 3
    assert shown[-10, -10].tolist() == [99] * 3


def test_the_sheet_of_augmentation_has_a_column_for_each_operation(config):
    crops = np.zeros((2, 32, 32, 3), np.uint8)
    images, labels = augmented(crops, ("brightness", "cutout"), config)
    p = config.augment.probability
    assert labels == ("as it is", "brightness", "cutout") + (f"p={p:g}",) * 2
    assert images.shape == (2 * 5, 32, 32, 3)


def test_a_disk_that_fails_is_told(config, tmp_path, monkeypatch, capsys):
    picture(1).save(tmp_path / "photographs/1.png")

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(crop, "square_pixels", fail)
    assert train_here("--doctor") == 2
    told = capsys.readouterr().err
    assert "cannot read 1.png: Input/output error" in told
    assert "Traceback" not in told


def test_a_contact_sheet_enlarges_and_has_gaps_and_labels():
    images = np.stack([np.full((32, 32, 3), grey, np.uint8) for grey in (10, 200, 90)])
    sheet = np.asarray(contact_sheet(images, 2, ("a", "b")))
    assert sheet.shape == (22 + 2 * 100 + 4, 2 * 100 + 4, 3)
    assert sheet[30, 50].tolist() == [10] * 3
    assert sheet[30, 150].tolist() == [200] * 3
    assert sheet[30, 102].tolist() == [255] * 3  # the gap
