"""Shares the time among the parts, and holds what they are told and tell."""

import dataclasses
import pathlib
import time
import traceback
from collections.abc import Callable
from typing import Any

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# What a part found: "facts" (a dict), "rows" (dicts of the same keys), "text"
# (Markdown), "trouble" (what went wrong, in words), "raw" (not for the page); each may
# be missing.
Result = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all parts are told.

    Attributes:
        device: "gpu" or "cpu".
        config: Path of the config to measure.
        overrides: KEY=VALUE of each --set.
        sizes: Image sizes whose memory is measured, in pixels.
        scratch: A folder that is deleted at the end.
    """

    device: str
    config: pathlib.Path
    overrides: tuple[str, ...]
    sizes: tuple[int, ...]
    scratch: pathlib.Path

    @property
    def options(self) -> list[str]:
        """The overrides as command line options, the device's after the user's."""
        overrides = (*self.overrides, f"runtime.device={self.device}")
        return [f"--set={one}" for one in overrides]


class Budget:
    """Seconds that run out."""

    def __init__(self, seconds: float) -> None:
        """Starts now."""
        self.seconds = seconds
        self._deadline = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left; 0 if none are."""
        return max(self._deadline - time.monotonic(), 0.0)


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the report.

    Attributes:
        name: Its key in the JSON.
        title: Its heading.
        about: What it measures, for the page.
        share: Its share of the time, relative to the others'.
        run: Measures, within a budget.
    """

    name: str
    title: str
    about: str
    share: float
    run: Callable[[Setting, Budget], Result]


def seconds_of(parts: list[Part], seconds_left: float) -> float:
    """Returns the limit of the first of the parts that are still to come.

    What earlier parts did not use is shared among all that follow, so the sum never
    exceeds the whole.
    """
    return seconds_left * parts[0].share / sum(part.share for part in parts)


def run_part(part: Part, setting: Setting, seconds: float) -> Result:
    """Runs a part; whatever goes wrong in it becomes a line of its trouble."""
    budget = Budget(seconds)
    try:
        result = part.run(setting, budget)
    except Exception as error:  # noqa: BLE001 (the other parts are worth more)
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
        result = {"trouble": [f"the report's own mistake: {words}"]}
    spent = {"seconds": round(seconds - budget.left, 1), "limit_seconds": seconds}
    about = {"title": part.title, "about": part.about}
    return about | spent | {"trouble": []} | result
