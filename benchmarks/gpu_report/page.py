"""Writes the report: a page for people, and the same as JSON."""

import json
import pathlib
import re
from typing import Any

from benchmarks.gpu_report.plan import REPOSITORY
from files.atomic import write_text

LARGE = 100  # from here on, whole numbers say enough


def write_report(report: dict[str, Any], stem: pathlib.Path) -> list[pathlib.Path]:
    """Writes <stem>.md and <stem>.json; returns their paths.

    Args:
        report: "title", "about" (facts by name), "parts" (results by name), and "grid",
            the file name of a picture beside the page, if any.
        stem: The path without a suffix.
    """
    paths = [stem.with_name(stem.name + suffix) for suffix in (".md", ".json")]
    write_text(paths[0], without_homes(page_text(report)))
    write_text(paths[1], without_homes(json.dumps(report, indent=2) + "\n"))
    return paths


def page_text(report: dict[str, Any]) -> str:
    """Returns the page, as Markdown."""
    blocks = [f"# {report['title']}", facts_table(report["about"])]
    wrong = [part["title"] for part in report["parts"].values() if part["trouble"]]
    if wrong:
        blocks.append(f"Not all went well; see {', '.join(wrong)}.")
    for name, part in report["parts"].items():
        blocks += part_blocks(part)
        if name == "training" and report.get("grid"):
            blocks.append(f"![samples at the end]({report['grid']})")
    return "\n\n".join(blocks) + "\n"


def part_blocks(part: dict[str, Any]) -> list[str]:
    """Returns the paragraphs of one part."""
    time = f"Took {part['seconds']:.0f} of at most {part['limit_seconds']:.0f} seconds."
    blocks = [f"## {part['title']}", f"{part['about']} {time}"]
    if part.get("facts"):
        blocks.append(facts_table(part["facts"]))
    if part.get("rows"):
        blocks.append(rows_table(part["rows"]))
    if part.get("text"):
        blocks.append(part["text"].strip())
    for words in part["trouble"]:
        first, *rest = words.splitlines() or [""]
        blocks.append(f"**Went wrong:** {first}")
        if rest:
            blocks.append("\n".join(f"    {line}" for line in rest))
    return blocks


def facts_table(facts: dict[str, Any]) -> str:
    """Returns a table of two columns without headings."""
    lines = [f"| {words(key)} | {cell(value)} |" for key, value in facts.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def rows_table(rows: list[dict[str, Any]]) -> str:
    """Returns a table, a line a row; the keys of the first one are the columns."""
    keys = list(rows[0])
    lines = [[cell(row.get(key)) for key in keys] for row in rows]
    lines = [[words(key) for key in keys], ["---"] * len(keys), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def words(key: str) -> str:
    """Returns a key as words: "peak_gib" is "peak GiB"."""
    return re.sub(r"\bgib\b", "GiB", key.replace("_", " "))


def cell(value: object) -> str:
    """Returns a value as the text of a cell; numbers with three digits."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.3g}"
    return " ".join(str(value).split()).replace("|", r"\|")


def without_homes(text: str) -> str:
    """Shortens paths that say where this project and its user live."""
    text = text.replace(f"{REPOSITORY}/", "")
    home = pathlib.Path.home()
    return text if home == pathlib.Path("/") else text.replace(f"{home}/", "~/")


def file_name(device: str) -> str:
    """Returns a device's name as a file's: "NVIDIA H100 PCIe" is nvidia-h100-pcie."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") or "unknown"
