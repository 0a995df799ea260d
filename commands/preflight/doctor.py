"""Implements `--doctor`: what is in the photographs, before hours are spent on them."""

import collections
import statistics
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

import data
from commands.preflight.classes import FEW as FEW_OF_A_CLASS
from commands.preflight.classes import counts_in_folder, range_text
from commands.preflight.sheets import SHEET_IMAGES, write_sheets
from commands.quiet import import_tensorflow
from data.classes import FEWEST
from data.crop import NO_IMAGE
from data.duplicates import NUM_WORDS, groups_of, near_pairs
from data.examine import Seen, different, examine_folder, examine_images
from data.folder import FolderSource
from files.address import address_of
from files.atomic import write_text
from files.counted import counted
from records.run_folder import RunFolder
from settings.config import Config
from settings.messages import Problem, say

SHOWN = 5  # names in the terminal; all are in the file
FEW, MANY = 1000, 20_000  # photographs


class Finding(NamedTuple):
    """Something to know.

    Attributes:
        what: A few words.
        groups: The names it is about; those of a group are joined by `between`.
        cure: What to do.
        between: A sign.
    """

    what: str
    groups: list[list[str]]
    cure: str
    between: str = ""


def doctor(config: Config, run: RunFolder, preset: str) -> int:
    """Examines the photographs of a config, and writes a report and two sheets.

    Raises:
        Problem: If there are no photographs.
    """
    seen = list(examine(config))
    usable = [one for one in seen if not one.reason]
    folder = run.samples / "doctor"
    folder.mkdir(parents=True, exist_ok=True)
    facts = facts_of(seen, usable) + class_facts(usable, config)
    found = findings(seen, usable, config) + class_findings(usable, config)
    for line in facts:
        say(line)
    for finding in found:
        say(text_of(finding, SHOWN))
    advice = advice_of(config, usable, preset)
    for line in advice:
        say(line)
    texts = [text_of(finding, len(seen)) for finding in found]
    write_text(folder / "report.txt", "\n".join([*facts, *texts, *advice]) + "\n")
    if not usable:
        raise Problem(
            f"no usable photograph\n  what to do: see {folder / 'report.txt'}"
        )
    say(f"all names: {address_of(folder / 'report.txt')}")
    for sheet in write_sheets(config, usable, folder):
        say(f"look at: {address_of(sheet)}")
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
        total = source.max_count + len(source.unusable)
        items = examine_folder(source, settings.image_size, SHEET_IMAGES)
    else:
        import_tensorflow()
        from commands.loading import load_images

        images = load_images(config).images
        total = len(images)
        items = examine_images(images, max(total // SHEET_IMAGES, 1))
    try:
        yield from tqdm(items, "examining", total, leave=False, disable=None)
    except data.DataError as error:  # of the disk
        raise Problem(str(error)) from error


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
    unread = [one for one in seen if one.reason and not one.is_heic]
    others = [one.name for one in unread if one.reason == NO_IMAGE]
    broken = [f"{one.name} ({one.reason})" for one in unread if one.reason != NO_IMAGE]
    blank = [one for one in usable if one.is_blank]
    rest = [one for one in usable if not one.is_blank]
    exact, near = duplicates(rest)
    found = [
        Finding(
            "HEIC, which is not read",
            single(heic),
            "export them as JPEG, or convert: find FOLDER -iname '*.heic' -exec magick "
            "mogrify -format jpg {} +; on an iPhone: Settings, Camera, Formats, Most "
            "Compatible",
        ),
        Finding("damaged", single(broken), "skipped; mend or delete them"),
        Finding("no photographs", single(others), "skipped; they do no harm"),
        Finding(
            "the same twice or more",
            exact,
            "keep one of each: copies count double",
            " = ",
        ),
        Finding(
            "nearly the same",
            near,
            "look at them; keep one of each if they are copies",
            " ~ ",
        ),
        Finding("blank", single(names_of(blank)), "delete them"),
        Finding(
            f"smaller than data.image_size={size}, enlarged",
            single(names_of([one for one in usable if one.is_smaller_than(size)])),
            "delete them, or choose a smaller data.image_size",
        ),
        Finding(
            "panoramas, of which the middle square is used",
            single(names_of([one for one in usable if one.is_panorama])),
            "crop what you want to be seen",
        ),
    ]
    return [finding for finding in found if finding.groups]


def class_facts(usable: list[Seen], config: Config) -> list[str]:
    """Returns a line about the sub-folders of a folder, if it has two or more."""
    counts, _ = counts_in_folder(usable)
    if config.data.source != "folder" or len(counts) < FEWEST:
        return []
    is_used = config.model.conditional
    return [
        f"sub-folders: {range_text(counts)}"
        + ("" if is_used else "; model.conditional: true would learn them")
    ]


def class_findings(usable: list[Seen], config: Config) -> list[Finding]:
    """Returns what there is to know about classes that are to be learnt."""
    if config.data.source != "folder" or not config.model.conditional:
        return []
    counts, outside = counts_in_folder(usable)
    small = [name for name in sorted(counts, key=lambda one: counts[one])]
    small = [
        f"{name} ({counts[name]})" for name in small if counts[name] < FEW_OF_A_CLASS
    ]
    found = [
        Finding(
            f"classes of fewer than {FEW_OF_A_CLASS} photographs",
            single(small),
            "add photographs, or put them with a class that looks like them: little is "
            "learnt of so few",
        ),
        Finding(
            "in none of the classes",
            single(outside),
            "put them into the sub-folder of their class, or elsewhere",
        ),
    ]
    return [finding for finding in found if finding.groups]


def single(names: list[str]) -> list[list[str]]:
    """Returns names as groups of one."""
    return [[name] for name in names]


def names_of(seen: list[Seen]) -> list[str]:
    """Returns each name with the size, if known."""
    return [
        f"{one.name} ({one.size[0]} x {one.size[1]})" if any(one.size) else one.name
        for one in seen
    ]


def duplicates(usable: list[Seen]) -> tuple[list[list[str]], list[list[str]]]:
    """Returns groups of photographs with equal crops, and groups of similar ones."""
    by_digest = collections.defaultdict(list)
    for one in usable:
        by_digest[one.digest].append(one.name)
    exact = [names for names in by_digest.values() if len(names) > 1]
    distinct = different(usable)
    hashes = [one.hash for one in distinct if one.hash is not None]
    pairs = near_pairs(np.array(hashes, np.uint64).reshape(-1, NUM_WORDS))
    groups = groups_of(pairs, len(distinct))
    near = [[distinct[place].name for place in group] for group in groups]
    return exact, near


def text_of(finding: Finding, shown: int) -> str:
    """Returns a finding as lines: so many names of each kind, then what to do."""
    count = len(finding.groups)
    lines = [f"{finding.what}: {count:,}"]
    for group in finding.groups[:shown]:
        names = [ascii_if_odd(name) for name in group[:shown]]
        more = len(group) - len(names)
        names += [f"{more:,} more"] if more else []
        lines.append(f"  {finding.between.join(names)}")
    if count > shown:
        lines.append(f"  and {count - shown:,} more")
    return "\n".join([*lines, f"  what to do: {finding.cure}"])


def ascii_if_odd(name: str) -> str:
    """Returns a name that can be printed."""
    return name if name.isprintable() else ascii(name)


def advice_of(config: Config, usable: list[Seen], preset: str) -> list[str]:
    """Returns the preset and keys that suit the number and size of photographs."""
    if not usable or config.data.source == "drawn":
        return []
    count = len(different(usable))
    lines = [f"advice for {counted(count, 'different photograph')}:"]
    if count < FEW:
        lines.append(
            f"  with fewer than {FEW:,}, start from a run that was trained on more "
            "(--from RUN, or a weights file; flowers at 64 px: --config few-64 --from "
            "weights/flowers-64.safetensors), and keep augment.policy=adaptive"
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
        lines.append(f"  a batch needs --set training.batch_size={count}")
    sides = [min(one.size) for one in usable if any(one.size)]
    size = config.data.image_size
    if sides and statistics.median(sides) < size:
        lines.append(f"  most are smaller than {size} px: choose a smaller preset")
    return lines
