"""Reads a queue file: settings to try, each with a reason, and when to measure.

    defaults:                         # any keys of a setting but reason
      config: configs/flowers-64.yaml
      seeds: [0, 1, 2]
      iterations: [1000, 3000]        # measured there; a run ends at the last mark
      minutes: [60]                   # of training; likewise, may be left out
      extractor: mobilenetv2
      num_images: 5000
      from: weights/flowers-64.safetensors    # may be left out: anew
    settings:
      slow:
        reason: the calm rate
        set:                          # overrides, as in train.py --set KEY=VALUE
          optimizer.learning_rate: 2e-4

A setting's keys replace those of `defaults`; of `set`, each override does.
"""

import json
import pathlib
from typing import Annotated, Any, get_args

import yaml
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from benchmarks.recipes.plan import Mark, Queue, Setting
from settings.key_types import Count, CountOrZero, Expected, Positive
from settings.messages import Problem
from settings.metrics import Extractor
from settings.yaml_text import Complaint, Written, compose, syntax_complaint, written_in

RUNNERS_OWN = (
    "run.name",
    "run.seed",
    "training.total_iterations",
    "training.max_minutes",
)


def _different(values: list) -> list:
    """Validates a list: no item is in it twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"Expected different items. Received: {values}")
    return values


_Line = Annotated[str, StringConstraints(pattern=r"\S")]
# What each key of a setting takes, and how an error describes it.
KEYS: dict[str, Any] = {
    "reason": Annotated[_Line, Expected("a line of text")],
    "config": Annotated[_Line, Expected("the path of a config file")],
    "set": Annotated[
        dict[str, Any],
        Expected("keys with values, such as optimizer.learning_rate: 2e-4"),
    ],
    "seeds": Annotated[
        list[CountOrZero],
        Field(min_length=1),
        AfterValidator(_different),
        Expected("a list of different whole numbers, 0 or more, such as [0, 1, 2]"),
    ],
    "iterations": Annotated[
        list[Count],
        AfterValidator(_different),
        Expected("a list of different whole numbers, 1 or more, such as [1000, 3000]"),
    ],
    "minutes": Annotated[
        list[Positive],
        AfterValidator(_different),
        Expected("a list of different numbers above 0, such as [60]"),
    ],
    "extractor": Annotated[
        Extractor, Expected("one of " + ", ".join(get_args(Extractor)))
    ],
    "num_images": Annotated[int, Field(ge=10), Expected("a whole number, 10 or more")],
    "from": Annotated[_Line, Expected("the path of a weights file to start from")],
}
VALIDATORS = {
    key: TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
    for key, kind in KEYS.items()
}
REQUIRED = ("reason", "config", "seeds")
DEFAULTS = {
    "set": {},
    "iterations": [],
    "minutes": [],
    "extractor": "mobilenetv2",
    "num_images": 5000,
    "from": "",
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
    return written_in(node, str(path), frozenset())


def expected_of(key: str) -> str:
    """Returns what a key takes, in words."""
    return next(
        one.text for one in get_args(KEYS[key])[1:] if isinstance(one, Expected)
    )


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
                self._complain((*path, key), "missing", expected_of(key))
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
            parent=chosen["from"],
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
                try:
                    good[key] = VALIDATORS[key].validate_python(item, strict=True)
                except ValidationError:
                    self._complain((*path, key), "", expected_of(key), found=item)
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
