"""Implements `--doctor`: what is in the photographs, before hours are spent on them."""

import collections
import pathlib
import statistics
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

import data
from commands.quiet import import_tensorflow
from data.duplicates import groups_of, near_pairs
from data.examine import Seen, examine_folder, examine_images
from data.folder import FolderSource
from files.atomic import write_text
from files.counted import counted
from gallery.contact_sheet import contact_sheet
from gallery.grids import to_uint8, write_png
from records.run_folder import RunFolder
from settings.config import Config
from settings.messages import Problem, say

SHOWN = 5  # names in the terminal; all are in the file
SHEET_COLUMNS, SHEET_IMAGES = 8, 64
AUGMENTED = 6  # photographs of the sheet of augmentation
FEW, MANY = 1000, 20_000  # photographs


class Finding(NamedTuple):
    """Something to know: what, the names it is about, and what to do."""

    what: str
    names: list[str]
    cure: str


def doctor(config: Config, run: RunFolder, preset: str) -> int:
    """Examines the photographs of a config, and writes a report and two sheets.

    Raises:
        Problem: If there are no photographs.
    """
    seen = list(examine(config))
    usable = [one for one in seen if not one.reason]
    folder = run.samples / "doctor"
    folder.mkdir(parents=True, exist_ok=True)
    facts, found = facts_of(seen, usable), findings(seen, usable, config)
    for line in facts:
        say(line)
    for finding in found:
        say(text_of(finding, SHOWN))
    advice = advice_of(config, usable, preset)
    say(advice)
    texts = [text_of(finding, len(finding.names)) for finding in found]
    write_text(folder / "report.txt", "\n".join([*facts, *texts, advice]) + "\n")
    if not usable:
        raise Problem(
            f"no usable photograph\n  what to do: see {folder / 'report.txt'}"
        )
    write_sheets(config, usable, folder)
    say(f"written to {folder}: report.txt with all names, and the sheets")
    return 0


def examine(config: Config) -> Iterator[Seen]:
    """Yields what is found in each photograph, with a bar on a terminal.

    Raises:
        Problem: If there are no photographs.
    """
    settings = config.data
    if settings.source == "folder":
        try:
            source = FolderSource(settings.path)
        except data.DataError as error:
            raise Problem(str(error)) from error
        total = source.max_count
        items = examine_folder(source, settings.image_size, SHEET_IMAGES)
    else:
        import_tensorflow()
        from commands.loading import load_images

        images = load_images(config).images
        total = len(images)
        items = examine_images(images, max(total // SHEET_IMAGES, 1))
    yield from tqdm(items, "examining", total, leave=False, disable=None)


def facts_of(seen: list[Seen], usable: list[Seen]) -> list[str]:
    """Returns lines about number, formats and sizes."""
    lines = [
        f"{counted(len(usable), 'usable photograph')} of {counted(len(seen), 'file')}"
    ]
    kinds = collections.Counter(
        f"{one.format} {one.mode}" for one in usable if one.format
    )
    if kinds:
        listed = (f"{count:,} {kind}" for kind, count in kinds.most_common())
        lines.append("formats: " + ", ".join(listed))
        sides = sorted(min(one.size) for one in usable)
        lines.append(
            f"shorter side: {sides[0]} to {sides[-1]} px, half of them "
            f"{statistics.median_high(sides)} or more"
        )
    return lines


def findings(seen: list[Seen], usable: list[Seen], config: Config) -> list[Finding]:
    """Returns all there is to know, with no finding that is about nothing."""
    size = config.data.image_size
    heic = [one.name for one in seen if one.reason and one.is_heic]
    broken = [
        f"{one.name} ({one.reason})" for one in seen if one.reason and not one.is_heic
    ]
    blank = [one for one in usable if one.is_blank]
    rest = [one for one in usable if not one.is_blank]
    exact, near = duplicates(rest)
    found = [
        Finding(
            "HEIC, which is not read",
            heic,
            "convert: magick mogrify -format jpg *.heic, or export as JPEG; on an "
            "iPhone: Settings, Camera, Formats, Most Compatible",
        ),
        Finding("not usable", broken, "skipped; mend or delete them"),
        Finding(
            "the same twice or more", exact, "keep one of each: copies count double"
        ),
        Finding(
            "nearly the same", near, "look at them; keep one of each if they are copies"
        ),
        Finding("blank", names_of(blank), "delete them"),
        Finding(
            f"smaller than data.image_size={size}, enlarged",
            names_of([one for one in usable if one.is_smaller_than(size)]),
            "delete them, or choose a smaller data.image_size",
        ),
        Finding(
            "panoramas, of which the middle square is used",
            names_of([one for one in usable if one.is_panorama]),
            "crop what you want to be seen",
        ),
    ]
    return [finding for finding in found if finding.names]


def names_of(seen: list[Seen]) -> list[str]:
    """Returns each name with the size, if known."""
    return [
        f"{one.name} ({one.size[0]} x {one.size[1]})" if any(one.size) else one.name
        for one in seen
    ]


def duplicates(usable: list[Seen]) -> tuple[list[str], list[str]]:
    """Returns groups of photographs with equal crops, and groups of similar ones."""
    by_digest = collections.defaultdict(list)
    for one in usable:
        by_digest[one.digest].append(one.name)
    exact = [" = ".join(names) for names in by_digest.values() if len(names) > 1]
    distinct = list({one.digest: one for one in reversed(usable)}.values())[::-1]
    hashes = [one.hash for one in distinct if one.hash is not None]
    groups = groups_of(near_pairs(np.array(hashes))) if hashes else []
    near = [" ~ ".join(distinct[place].name for place in group) for group in groups]
    return exact, near


def text_of(finding: Finding, shown: int) -> str:
    """Returns a finding as lines: a number of names, then what to do."""
    count = len(finding.names)
    lines = [f"{finding.what}: {count:,}"]
    lines += [f"  {ascii_if_odd(name)}" for name in finding.names[:shown]]
    if count > shown:
        lines.append(f"  and {count - shown:,} more")
    return "\n".join([*lines, f"  what to do: {finding.cure}"])


def ascii_if_odd(name: str) -> str:
    """Returns a name that can be printed."""
    return name if name.isprintable() else ascii(name)


def advice_of(config: Config, usable: list[Seen], preset: str) -> str:
    """Returns the preset and keys that suit the number and size of photographs."""
    count = len({one.digest for one in usable})
    lines = [f"advice for {counted(count, 'different photograph')}:"]
    if count < FEW:
        lines.append(
            f"  with fewer than {FEW:,}, start from a trained run (--from flowers-64) "
            "or a weights file, and keep augment.policy=adaptive"
        )
    elif count >= MANY:
        lines.append(
            "  augmentation matters less with so many: augment.min_probability=0 lets "
            "it fall as far as the discriminator allows"
        )
    else:
        lines.append(
            "  about as many as the flowers presets were made for: flowers-64 on a "
            "CPU, flowers (128 px) on a GPU, as they are"
        )
    if config.augment.policy == "none" and count < MANY:
        lines.append(
            f"  {preset} does not augment: with so few, --set augment.policy=adaptive"
        )
    if count < config.training.batch_size:
        lines.append(f"  a batch needs --set training.batch_size={max(count, 1)}")
    sides = [min(one.size) for one in usable if any(one.size)]
    size = config.data.image_size
    if sides and statistics.median(sides) < size:
        lines.append(f"  most are smaller than {size} px: choose a smaller preset")
    return "\n".join(lines)


def write_sheets(config: Config, usable: list[Seen], folder: pathlib.Path) -> None:
    """Writes crops.png, and augmented.png if the config augments."""
    crops = [one.pixels for one in usable if one.pixels is not None][:SHEET_IMAGES]
    kept = np.stack(crops) if crops else np.zeros((0,))
    if not len(kept):
        return
    write_png(contact_sheet(kept, SHEET_COLUMNS), folder / "crops.png")
    operations = config.augment.active_operations
    if operations:
        images, labels = augmented(kept[:AUGMENTED], operations, config)
        sheet = contact_sheet(images, len(labels), labels)
        write_png(sheet, folder / "augmented.png")


def augmented(
    crops: np.ndarray, operations: tuple[str, ...], config: Config
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns rows of a photograph as it is, by each operation, and as in training.

    Returns:
        uint8 [rows * columns, size, size, 3], and the columns' labels.
    """
    import_tensorflow()
    from data.augment import augment, num_uniforms

    images = crops.astype(np.float32) / 127.5 - 1
    rng = np.random.default_rng(config.run.seed)
    columns, labels = [images], ["as it is"]
    for operation in operations:
        uniforms = rng.random((len(images), num_uniforms([operation])), np.float32)
        columns.append(np.asarray(augment(images, uniforms, 1.0, [operation])))
        labels.append(operation)
    probability = config.augment.probability
    for _ in range(2):
        uniforms = rng.random((len(images), num_uniforms(operations)), np.float32)
        result = augment(images, uniforms, probability, operations)
        columns.append(np.asarray(result))
        labels.append(f"all, p={probability:g}")
    together = np.stack([to_uint8(column) for column in columns], 1)
    return together.reshape(-1, *crops.shape[1:]), tuple(labels)
