"""Reads a queue file: settings to try, each with a reason, and when to measure.

    defaults:                         # any keys of a setting but reason
      config: configs/flowers-64.yaml
      seeds: [0, 1, 2]
      iterations: [1000, 3000]        # measured there; a run ends at the last mark
      minutes: [60]                   # of training; likewise, may be left out
      extractor: mobilenetv2
      num_images: 5000
    settings:
      slow:
        reason: the calm rate
        set:                          # overrides, as in train.py --set KEY=VALUE
          optimizer.learning_rate: 2e-4

A setting's keys replace those of `defaults`; of `set`, each override does.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any, get_args

import yaml

from settings.messages import Problem
from settings.metrics import Extractor
from settings.yaml_text import Complaint, Place, Written, compose, syntax_complaint

RUNNERS_OWN = (
    "run.name",
    "run.seed",
    "training.total_iterations",
    "training.max_minutes",
)


@dataclasses.dataclass(frozen=True)
class Mark:
    """Where a run is measured.

    Attributes:
        unit: "iterations" or "minutes" of training.
        amount: Above 0.
    """

    unit: str
    amount: float

    def __str__(self) -> str:
        """Returns it in words, as rows have it."""
        amount = int(self.amount) if self.amount == int(self.amount) else self.amount
        return f"{amount} {self.unit}"


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to train.

    Attributes:
        name: Of the setting; part of its runs' names.
        reason: Why it is tried.
        config: Path of the config file.
        overrides: Keys of the config, and their values as text.
        seeds: Of its runs.
        marks: Where its runs are measured; they end when all are.
        extractor: Network whose features are compared.
        num_images: Images generated for a measurement.
        recipe: Keys of the resulting config that are not its defaults, by section, but
            for those that a run may change; empty until the config is loaded.
    """

    name: str
    reason: str
    config: str
    overrides: dict[str, str]
    seeds: tuple[int, ...]
    marks: tuple[Mark, ...]
    extractor: str
    num_images: int
    recipe: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of a setting; `name` is its run.name."""

    name: str
    setting: Setting
    seed: int


@dataclasses.dataclass(frozen=True)
class Queue:
    """All settings of a queue file, whose name without .yaml is `name`."""

    name: str
    settings: tuple[Setting, ...]

    def trials(self) -> list[Trial]:
        """Returns the runs in order: every setting's first seed, then the second."""
        most = max(len(setting.seeds) for setting in self.settings)
        return [
            Trial(f"{self.name}-{one.name}-seed{one.seeds[turn]}", one, one.seeds[turn])
            for turn in range(most)
            for one in self.settings
            if turn < len(one.seeds)
        ]


def is_whole(value: Any, least: int) -> bool:
    """Tells whether a value is a whole number, and not too small."""
    return type(value) is int and value >= least


def is_list(value: Any, fits: Callable[[Any], bool]) -> bool:
    """Tells whether a value is a list of different fitting items."""
    return (
        isinstance(value, list)
        and all(map(fits, value))
        and len(set(value)) == len(value)
    )


def is_minutes(value: Any) -> bool:
    """Tells whether a value is a finite number above 0."""
    return type(value) in (int, float) and 0 < value < float("inf")


def is_text(value: Any) -> bool:
    """Tells whether a value is text with something in it."""
    return isinstance(value, str) and bool(value.strip())


KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "reason": ("a line of text", is_text),
    "config": ("the path of a config file", is_text),
    "set": (
        "keys with values, such as optimizer.learning_rate: 2e-4",
        lambda value: isinstance(value, dict),
    ),
    "seeds": (
        "a list of different whole numbers, 0 or more, such as [0, 1, 2]",
        lambda value: is_list(value, lambda one: is_whole(one, 0)) and bool(value),
    ),
    "iterations": (
        "a list of different whole numbers, 1 or more, such as [1000, 3000]",
        lambda value: is_list(value, lambda one: is_whole(one, 1)),
    ),
    "minutes": (
        "a list of different numbers above 0, such as [60]",
        lambda value: is_list(value, is_minutes),
    ),
    "extractor": (
        "one of " + ", ".join(get_args(Extractor)),
        lambda value: value in get_args(Extractor),
    ),
    "num_images": ("a whole number, 10 or more", lambda value: is_whole(value, 10)),
}
REQUIRED = ("reason", "config", "seeds")
DEFAULTS = {
    "set": {},
    "iterations": [],
    "minutes": [],
    "extractor": "mobilenetv2",
    "num_images": 5000,
}


def read_queue(path: pathlib.Path) -> Queue:
    """Reads a queue file.

    Raises:
        Problem: Lists every mistake, with its line.
    """
    written = read_yaml(path)
    reader = _Reader(written)
    queue = Queue(path.stem, reader.settings())
    complaints = sorted(written.complaints, key=lambda one: one.place)
    if complaints:
        raise Problem("\n".join(map(str, complaints)))
    return queue


def read_yaml(path: pathlib.Path) -> Written:
    """Reads a file of keys, as configs are read: 2e-4 is a number.

    Raises:
        Problem: If it cannot be read or is no YAML with keys.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: cannot be read ({error})") from error
    try:
        node = compose(text)
    except yaml.YAMLError as error:
        raise Problem(str(syntax_complaint(error, text, str(path)))) from None
    if not isinstance(node, yaml.MappingNode):
        raise Problem(f"{path}:1: not a queue\n  expected:  defaults: and settings:")

    def place_of(part: yaml.Node) -> Place:
        line = part.start_mark.line + 1
        return Place(0, line, f"{path}:{line}")

    written = Written(frozenset(), places={(): Place(0, 1, f"{path}:1")})
    written.values = written.read(node, (), place_of)
    return written


class _Reader:
    """Turns what was written into settings, and collects complaints about it."""

    def __init__(self, written: Written) -> None:
        self._written = written

    def settings(self) -> tuple[Setting, ...]:
        """Returns all settings that have no mistake."""
        self._refuse_unknown((), ("defaults", "settings"))
        values = self._written.values
        defaults = self._section(("defaults",), values.get("defaults", {}))
        self._refuse_unknown(("defaults",), [key for key in KEYS if key != "reason"])
        named = self._section(("settings",), values.get("settings"))
        if not named:
            self._complain(("settings",), "missing", "at least one setting")
        found = [self._setting(name, value, defaults) for name, value in named.items()]
        return tuple(setting for setting in found if setting is not None)

    def _setting(
        self, name: str, value: Any, defaults: dict[str, Any]
    ) -> Setting | None:
        """Returns one setting, or None if there is a mistake before or in it."""
        path = ("settings", name)
        own = self._section(path, value)
        self._refuse_unknown(path, KEYS)
        given = {*self._raw(path), *self._raw(("defaults",))}
        for key in REQUIRED:
            if key not in given:
                self._complain((*path, key), "missing", KEYS[key][0])
        if self._written.complaints:
            return None
        chosen = DEFAULTS | defaults | own
        if not chosen["iterations"] and not chosen["minutes"]:
            self._complain(path, "is never measured", "iterations or minutes")
            return None
        marks = [
            Mark(unit, amount)
            for unit in ("iterations", "minutes")
            for amount in sorted(chosen[unit])
        ]
        return Setting(
            name=name,
            reason=chosen["reason"],
            config=chosen["config"],
            overrides=self._overrides(("defaults",), defaults)
            | self._overrides(path, own),
            seeds=tuple(chosen["seeds"]),
            marks=tuple(marks),
            extractor=chosen["extractor"],
            num_images=chosen["num_images"],
        )

    def _section(self, path: tuple[str, ...], value: Any) -> dict[str, Any]:
        """Returns the keys below a path whose values are as they should be."""
        if not isinstance(value, dict):
            if path != ("settings",) or value is not None:
                self._complain(path, "", "keys with values")
            return {}
        if path == ("settings",):
            return value
        good = {}
        for key, item in value.items():
            if key in KEYS:
                expected, fits = KEYS[key]
                if fits(item):
                    good[key] = item
                else:
                    self._complain((*path, key), "", expected, found=item)
        for key in RUNNERS_OWN:
            if key in good.get("set", {}):
                self._complain((*path, "set", key), "set by the queue", "other keys")
        return good

    def _overrides(
        self, path: tuple[str, ...], section: dict[str, Any]
    ) -> dict[str, str]:
        """Returns the overrides of a section as text, scalars as they are written."""
        texts = self._written.texts
        return {
            key: texts.get((*path, "set", key), json.dumps(value))
            for key, value in section.get("set", {}).items()
        }

    def _refuse_unknown(self, path: tuple[str, ...], known: Any) -> None:
        for key in self._raw(path):
            if key not in known:
                expected = "one of " + ", ".join(known)
                self._complain((*path, key), "unknown key", expected)

    def _raw(self, path: tuple[str, ...]) -> dict[str, Any]:
        """Returns what was written below a path; nothing if that is no mapping."""
        values: Any = self._written.values
        for part in path:
            values = values.get(part) if isinstance(values, dict) else None
        return values if isinstance(values, dict) else {}

    def _complain(
        self, path: tuple[str, ...], what: str, expected: str, found: Any = None
    ) -> None:
        details = [("expected", expected)]
        if found is not None:
            details.append(("found", json.dumps(found)))
        place = self._written.place(path)
        self._written.complaints.append(
            Complaint(place, ".".join(path), what, tuple(details))
        )
