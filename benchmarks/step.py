"""Measures where the time of an iteration goes, and how it compares.

    .venv/bin/python -m benchmarks.step configs/flowers-64.yaml --rounds 10 \
        --json step.json --markdown step.md

Times the parts of an iteration in turn, each alone; counts the operations of each pass
and sets its speed beside what the machine can do at most; and races whole iterations
against the same pair in stock Keras and in PyTorch, in turn too. Prints tables in
Markdown, to stdout and to a file. On noise: nothing is downloaded or kept.
"""

import argparse
import contextlib
import json
import os
import pathlib
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from benchmarks.rivals.contestants import CONTESTANTS, OURS, check_fair
from benchmarks.rivals.race import Result, absent_reason, num_cores, race
from benchmarks.step_report import report_text
from benchmarks.turns import medians, timer_of, times_in_turn
from commands.exit_status import exit_status
from commands.quiet import import_tensorflow
from files.atomic import write_text
from settings.config import Config
from settings.config_file import load_config
from settings.messages import Problem

if TYPE_CHECKING:
    from training.device import Device

WARM_UPS = 2  # of each piece: the first one compiles
GIGA = 1e9


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument(
        "--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE")
    parser.add_argument(
        "--contestants",
        nargs="*",
        default=list(CONTESTANTS),
        choices=CONTESTANTS,
        metavar="NAME",
        help=f"of {', '.join(CONTESTANTS)}; with no name, only the parts are measured",
    )
    parser.add_argument(
        "--all", action="store_true", help="bfloat16 also where it is slow"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds: expected 1 or more, found {arguments.rounds}")
    return arguments


def measure(arguments: argparse.Namespace) -> None:
    """Measures all and writes the report."""
    environment = dict(os.environ)  # before importing TensorFlow changes it
    config = load_config(arguments.config, arguments.overrides)
    if any(CONTESTANTS[name].framework != OURS for name in arguments.contestants):
        check_fair(config)
    for path in (arguments.json, arguments.markdown):
        if path is not None and not path.absolute().parent.is_dir():
            raise Problem(f"{path}\n  expected: a file in a folder that exists")
    import_tensorflow()
    from training.device import configure_tensorflow, find_device, resolved_runtime
    from training.inputs import penalty_share

    device = find_device(config.runtime.device)
    runtime = resolved_runtime(config.runtime, device)
    configure_tensorflow(runtime, device)
    config = config.model_copy(update={"runtime": runtime})
    report = facts_of(arguments, config, device)
    report |= measured_parts(config, device, arguments.rounds)
    report |= {"contestants": {}, "left_out": {}}
    write_files(arguments, report)  # whatever becomes of the race
    names, left_out = [], {}
    for name in arguments.contestants:
        reason = absent_reason(CONTESTANTS[name], device.fast_bfloat16 or arguments.all)
        if reason is None:
            names.append(name)
        else:
            left_out[name] = reason
    # All on the same device, whatever each would choose.
    overrides = [*arguments.overrides, f"runtime.device={device.kind}"]
    options = [arguments.config, *(f"--set={one}" for one in overrides)]
    results, failed = race(
        names, options, environment, arguments.rounds, penalty_share(config)
    )
    report["contestants"] = {name: result_facts(one) for name, one in results.items()}
    report["left_out"] = left_out | failed
    for one in results.values():
        report["versions"] |= one.versions
    print(write_files(arguments, report), end="")


def facts_of(
    arguments: argparse.Namespace, config: Config, device: "Device"
) -> dict[str, Any]:
    """Returns what the numbers depend on."""
    from records.sessions import versions

    return {
        "config": arguments.config,
        "overrides": arguments.overrides,
        "machine": device.name,
        "cores": num_cores(),
        "versions": versions(),
        "batch_size": config.training.batch_size,
        "precision": config.runtime.precision,
        "compile": config.runtime.compile,
        "rounds": arguments.rounds,
    }


def measured_parts(config: Config, device: "Device", rounds: int) -> dict[str, Any]:
    """Times all pieces in turn, in a run of a temporary folder."""
    from benchmarks.flops import iteration_flops, pass_flops
    from benchmarks.step_ceiling import ceiling_flops
    from benchmarks.step_parts import parts_of
    from benchmarks.step_pieces import Bench, pieces_of
    from training.inputs import penalty_share

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        bench = Bench(config, device)
        timers = {name: timer_of(one) for name, one in pieces_of(bench).items()}
        times_in_turn(timers, WARM_UPS)
        times = times_in_turn(timers, rounds)
        bench.output.close()
    middle = medians(times)
    parts, share = parts_of(middle, config), penalty_share(config)
    networks = bench.state.generator, bench.state.discriminator
    passes = pass_flops(*networks, config)
    mean = passes | {"gradient penalty": share * passes["gradient penalty"]}
    mean["whole"] = iteration_flops(passes, share)
    return {
        "parts_ms": parts.parts,
        "whole_ms": parts.whole,
        "not_explained_ms": parts.not_explained,
        "gflop": {name: count / GIGA for name, count in mean.items()},
        "ceiling_gflops_per_second": {
            name: count / GIGA / middle[name]
            for name, count in ceiling_flops(config).items()
        },
        "pieces_seconds": times,
    }


def result_facts(result: Result) -> dict[str, Any]:
    """Returns a contestant's result for the report."""
    middle = medians({"plain": result.plain, "penalty": result.penalty or [0.0]})
    return {
        "seconds": result.seconds,
        "plain_median": middle["plain"],
        "penalty_median": middle["penalty"] if result.penalty else None,
        "num_weights": result.num_weights,
        "note": result.note,
        "plain_seconds": result.plain,
        "penalty_seconds": result.penalty,
    }


def write_files(arguments: argparse.Namespace, report: dict[str, Any]) -> str:
    """Writes the files that were asked for; returns the tables."""
    text = report_text(report, OURS)
    if arguments.markdown is not None:
        write_text(arguments.markdown, text)
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(report, indent=2) + "\n")
    return text


if __name__ == "__main__":
    options = parse_arguments()
    sys.exit(exit_status(lambda: measure(options)))
