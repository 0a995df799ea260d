"""Measures what can only be known on a GPU, and writes a page of it.

    python -m benchmarks.gpu_report                    ten minutes: docs/gpu/<card>.md
    python -m benchmarks.gpu_report --minutes 30       longer parts, more of training
    python -m benchmarks.gpu_report --device cpu --out DIR --minutes 3
                                                       tries all of it without a card

Run it from the repository root. The page and the JSON beside it are written anew after
each part. Exit status 0 once they are, whatever a part says; 2 if the device cannot be
used; 130 for Ctrl-C, with what was measured until then.
"""

import argparse
import datetime
import math
import pathlib
import shlex
import sys
import tempfile
from typing import Any

from benchmarks.gpu_report.children import USER_ERROR
from benchmarks.gpu_report.page import file_name, write_report
from benchmarks.gpu_report.parts import PARTS
from benchmarks.gpu_report.plan import REPOSITORY, Budget, Setting, run_part, seconds_of
from benchmarks.gpu_report.training import write_webp
from commands.exit_status import exit_status
from settings.config_file import load_config
from settings.messages import Problem, say

GPU_FOLDER = REPOSITORY / "docs" / "gpu"
SIZES = (64, 128, 256, 512)
SECONDS_PER_MINUTE = 60


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line; `argv` is without the program's name."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_report", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of all parts")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--out", type=pathlib.Path, help="folder; a GPU's: docs/gpu")
    parser.add_argument("--config", default=str(REPOSITORY / "configs/flowers.yaml"))
    parser.add_argument(
        "--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="PIXELS")
    arguments = parser.parse_args(argv)
    if not (0 < arguments.minutes < math.inf):
        parser.error(f"--minutes: expected more than 0, found {arguments.minutes}")
    if arguments.device == "cpu" and arguments.out is None:
        parser.error("--device cpu: expected --out DIR too; docs/gpu is for cards")
    return arguments


def measure_all(arguments: argparse.Namespace) -> None:
    """Runs all parts and writes the report after each.

    Raises:
        Problem: If the config or the device cannot be used.
    """
    config = pathlib.Path(arguments.config).absolute()
    for size in arguments.sizes:  # a mistake is better told before than after
        load_config(config, [*arguments.overrides, f"data.image_size={size}"])
    out = (arguments.out or GPU_FOLDER).absolute()
    out.mkdir(parents=True, exist_ok=True)
    report = empty_report(arguments)
    budget = Budget(arguments.minutes * SECONDS_PER_MINUTE)
    with tempfile.TemporaryDirectory() as scratch:
        setting = Setting(
            arguments.device,
            config,
            tuple(arguments.overrides),
            tuple(arguments.sizes),
            pathlib.Path(scratch),
        )
        for number, part in enumerate(PARTS):
            seconds = seconds_of(PARTS[number:], budget.left)
            say(f"{part.title}: at most {seconds:.0f} s")
            report["parts"][part.name] = run_part(part, setting, seconds)
            paths = write_so_far(report, out)
    say(f"wrote {', '.join(map(str, paths))}")


def empty_report(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the report before any part."""
    command = ["python", "-m", "benchmarks.gpu_report", *sys.argv[1:]]
    config = pathlib.Path(arguments.config).absolute()
    about = {
        "config": str(config),
        "overrides": ", ".join(arguments.overrides) or "none",
        "minutes": arguments.minutes,
        "date": datetime.date.today().isoformat(),
        "command": f"`{shlex.join(command)}`",
    }
    return {"title": "A device", "about": about, "parts": {}}


def write_so_far(report: dict[str, Any], out: pathlib.Path) -> list[pathlib.Path]:
    """Writes the page, the JSON and the grid, named after the device.

    Raises:
        Problem: If the device cannot be used, in the words of the process that tried.
    """
    parts = report["parts"]
    if parts["card"].pop("raw", None) == USER_ERROR:
        raise Problem("\n".join(parts["card"]["trouble"]))
    device = parts["card"].get("facts", {}).get("device", "unknown device")
    report["title"] = device
    stem = out / file_name(device)
    png = parts.get("training", {}).pop("raw", None)
    if png:
        report["grid"] = f"{stem.name}.webp"
        write_webp(pathlib.Path(png), out / report["grid"])
    return write_report(report, stem)


def main() -> int:
    """Runs the command and returns its exit status."""
    arguments = parse_arguments()
    return exit_status(lambda: measure_all(arguments))


if __name__ == "__main__":
    sys.exit(main())
