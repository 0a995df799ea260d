"""The process of one contestant: waits for a line, does an iteration, answers.

    python -m benchmarks.rivals.worker "PyTorch eager" configs/flowers-64.yaml

Reads "plain" or "penalty" and answers in JSON: first what was built, or why nothing
was, then the seconds of each iteration. Between them it waits and computes nothing.
What libraries print goes to stderr.
"""

import argparse
import json
import math
import os
import sys
import time
from typing import TextIO

from benchmarks.rivals.contestants import CONTESTANTS, Contestant, Ready
from settings.config import Config
from settings.config_file import load_config
from settings.messages import Problem

PLAIN, PENALTY = "plain", "penalty"
WARM_UPS = 2  # of each kind: the first one compiles


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--no_penalty", action="store_true", help="it never comes")
    return parser.parse_args()


def build(contestant: Contestant, config: Config) -> Ready:
    """Builds a contestant with the framework it names."""
    if contestant.framework == "ours":
        from benchmarks.rivals import ours

        return ours.build(config, **contestant.options)
    if contestant.framework == "stock_keras":
        from benchmarks.rivals import stock_keras

        return stock_keras.build(config, **contestant.options)
    from benchmarks.rivals import pytorch

    return pytorch.build(config, **contestant.options)


def seconds_of(ready: Ready, kind: str) -> float:
    """Does one iteration; returns its seconds.

    Raises:
        Problem: If its loss is not finite, which would make the time meaningless.
    """
    began = time.perf_counter()
    loss = ready.iterate(kind == PENALTY)
    seconds = time.perf_counter() - began
    if not math.isfinite(loss):
        raise Problem(f"the generator's loss is {loss}")
    return seconds


def answer(pipe: TextIO, **words: object) -> None:
    """Writes one line of JSON."""
    pipe.write(json.dumps(words) + "\n")
    pipe.flush()


def private_stdout() -> TextIO:
    """Returns this process's stdout, to which libraries can no longer print."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def main() -> None:
    """Builds the contestant, warms it up, and answers until stdin is closed."""
    arguments = parse_arguments()
    pipe = private_stdout()
    try:
        config = load_config(arguments.config, arguments.overrides)
        ready = build(CONTESTANTS[arguments.contestant], config)
        for kind in (PLAIN,) if arguments.no_penalty else (PLAIN, PENALTY):
            for _ in range(WARM_UPS):
                seconds_of(ready, kind)
        answer(
            pipe,
            num_weights=ready.num_weights,
            note=ready.note,
            versions=ready.versions,
        )
        for line in sys.stdin:
            answer(pipe, seconds=seconds_of(ready, line.strip()))
    except Exception as error:  # noqa: BLE001 (a contestant must not end the race)
        first = str(error).strip().splitlines()[:1]
        answer(pipe, failed=": ".join([type(error).__name__, *first]))


if __name__ == "__main__":
    main()
