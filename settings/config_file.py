"""Reads config files and --set overrides, and reports all their mistakes at once.

config = load_config("configs/flowers.yaml", ["training.batch_size=32"])
"""

import difflib
import pathlib
from collections.abc import Callable
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from settings.complaints import ConfigError, complaint_about, text_keys
from settings.config import Config
from settings.data_sources import unread_notes, unread_overrides
from settings.yaml_text import (
    MOST_NODES,
    NULL,
    STR,
    Complaint,
    KeyPath,
    Place,
    Written,
    compose,
    syntax_complaint,
    written_in,
)

HEADER = "# The whole config of this run, defaults included. Written by the program.\n"
PRESETS = pathlib.Path("configs")
NULLS = ("", "~", "null")
MOST_BYTES = 2**19  # of a file; a preset has 3,000
MOST_TOLD = 50  # mistakes
MOST_PARTS = 10  # of a dotted key; there are three at most


def load_config(
    path: str | pathlib.Path,
    overrides: list[str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Config:
    """Reads a YAML config file and applies KEY=VALUE overrides; a later one wins.

    Args:
        path: The file.
        overrides: Each KEY=VALUE.
        say: Receives warnings of keys that the chosen source ignores.

    Raises:
        ConfigError: If there is any mistake; its text names all of them.
    """
    written = _written(_file_text(str(path)), str(path))
    for number, override in enumerate(overrides or []):
        _apply(override, number, written)
    written.complaints += unread_overrides(written)
    config = _config_of(written)
    for note in unread_notes(written, config):
        say(note)
    return config


def config_path(requested: str) -> str:
    """Returns the path of a config: of a preset's name, that of the preset.

    Anything else, such as the path of a file that exists, is returned as it is.
    """
    preset = PRESETS / f"{requested.removesuffix('.yaml')}.yaml"
    is_preset = not pathlib.Path(requested).is_file() and preset.is_file()
    return str(preset) if is_preset else requested


def _config_of(written: Written) -> Config:
    """Validates what was written."""
    for section in Config.model_fields:
        if written.values.get(section) is None:
            written.values.pop(section, None)  # `loss:` with nothing below it
    written.values.setdefault("run", {})
    config, errors = _validate(written.values)
    errors.sort(key=lambda error: written.place(error["loc"]))
    complaints = [complaint_about(error, written) for error in errors[:MOST_TOLD]]
    complaints = sorted(written.complaints + complaints, key=lambda one: one.place)
    if config is None or complaints:
        told = list(map(str, complaints[:MOST_TOLD]))
        more = len(written.complaints) + len(errors) - len(told)
        raise ConfigError("\n".join(told + [f"... and {more:,} more"] * (more > 0)))
    return config


def load_stored_config(path: str | pathlib.Path) -> Config:
    """Reads the config.yaml stored with a run.

    Raises:
        ConfigError: If it is missing or invalid; the text says what can be done.
    """
    try:
        return load_config(path)
    except ConfigError as error:
        raise ConfigError(
            f"{error}\nThis file belongs to a run and was written by the program. If it"
            " was edited, undo that;\nelse --fresh moves the run aside (nothing is"
            " deleted) and starts anew."
        ) from None


def config_of_text(text: str, name: str) -> Config:
    """Reads a config that another file, of that name, holds.

    Raises:
        ConfigError: If it is invalid.
    """
    return _config_of(_written(text, name))


def resolved_yaml(config: Config) -> str:
    """Returns a config with all its keys as YAML that `load_config` reads back.

    Raises:
        ConfigError: If it has more names of classes than can be read back.
    """
    values = config.model_dump()
    text = HEADER + yaml.safe_dump(
        values, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    num_bytes, num_names = len(text.encode()), len(config.model.classes or ())
    if num_bytes > MOST_BYTES or 2 * num_names > MOST_NODES:
        raise ConfigError(
            f"model.classes: too many to be written down\n"
            f"  expected: at most {MOST_NODES // 2:,}, and {MOST_BYTES // 2**10} KiB\n"
            f"  found:    {num_names:,}, and {num_bytes // 2**10:,} KiB of config"
        )
    return text


def _written(text: str, name: str) -> Written:
    """Parses the text of a file."""
    try:
        node = compose(text)
    except yaml.YAMLError as error:
        raise ConfigError(str(syntax_complaint(error, text, name))) from None
    top = Place(0, 1, f"{name}:1")
    expected = ("expected", "sections, at least run: with a name: below it")
    if node is None or node.tag == NULL:
        raise ConfigError(str(Complaint(top, "", "the file is empty", (expected,))))
    if not isinstance(node, yaml.MappingNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "text"
        details = (expected, ("found", kind))
        raise ConfigError(str(Complaint(top, "", "not a config", details)))
    return written_in(node, name, text_keys())


def _file_text(name: str) -> str:
    path = pathlib.Path(name)
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            what = f"no config: more than {MOST_BYTES // 2**10} KiB"
            raise ConfigError(f"{name}: {what}")
        return content.decode("utf-8")
    except FileNotFoundError:
        siblings = map(str, path.parent.glob("*.yaml"))
        nearest = difflib.get_close_matches(name, siblings, n=1)
        details = tuple(("nearest", other) for other in nearest)
        presets = sorted(preset.stem for preset in PRESETS.glob("*.yaml"))
        if presets and not nearest:
            listed = f"a file, or a preset: {', '.join(presets)}"
            nearest = difflib.get_close_matches(path.stem, presets, n=1)
            details = (("expected", listed), *(("nearest", one) for one in nearest))
        place = Place(0, 0, name)
        raise ConfigError(str(Complaint(place, "", "no such file", details))) from None
    except IsADirectoryError:
        raise ConfigError(f"{name}: a folder, not a config file") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None
    except ValueError:  # of a path with the character 0
        raise ConfigError(f"{name!a}: no path of a file") from None


def _apply(override: str, number: int, written: Written) -> None:
    """Applies one override to what the file says."""
    key, equals, text = override.partition("=")
    key = key.strip()
    path = tuple(key.split("."))
    place = Place(1, number, f"--set {override}")
    if not equals or not key:
        example = (("expected", "KEY=VALUE, such as training.batch_size=32"),)
        written.complaints.append(Complaint(place, "", "no key and value", example))
        return
    if len(path) > MOST_PARTS:
        expected = (("expected", "SECTION.KEY"), ("found", f"{len(path):,} parts"))
        written.complaints.append(Complaint(place, "", "no such key", expected))
        return
    if key in Config.model_fields:
        example = (("expected", f"one of its keys, {key}.KEY=VALUE"),)
        written.complaints.append(Complaint(place, key, "a whole section", example))
        return
    try:
        node = _override_node(path, text, written.text_keys)
    except yaml.YAMLError as error:
        what = syntax_complaint(error, text, "").what
        written.complaints.append(Complaint(place, key, what, (("found", text),)))
        return
    _put(path, node, place, written)


def _override_node(
    path: KeyPath, text: str, text_keys: frozenset[KeyPath]
) -> yaml.Node:
    """Parses the value of an override; free text is taken verbatim."""
    text = text.strip()
    is_quoted = text[:1] in ("'", '"')
    if path in text_keys and text not in NULLS and not is_quoted:
        return yaml.ScalarNode(STR, text)
    return compose(text) or yaml.ScalarNode(NULL, text)


def _put(
    path: tuple[str, ...], node: yaml.Node, place: Place, written: Written
) -> None:
    """Stores a value at its path, creating the mappings above it if missing."""
    values = written.values
    for depth in range(1, len(path)):
        key = path[depth - 1]
        if values.get(key) is not None and not isinstance(values[key], dict):
            if depth == 1:
                return  # the section itself is invalid, which is reported
            values[key] = None
        if values.get(key) is None:
            written.forget(path[:depth])
            written.places[path[:depth]] = place
            values[key] = {}
        values = values[key]
    written.forget(path)
    written.places[path] = place
    values[path[-1]] = written.read(node, path, lambda part: place)


def _validate(values: dict[str, Any]) -> tuple[Config | None, list[ErrorDetails]]:
    """Validates values; num_layers is checked even if there are other mistakes."""
    try:
        return Config.model_validate(values), []
    except ValidationError as error:
        errors = {one["loc"]: one for one in error.errors(include_url=False)}
    together = {
        "run": {"name": "any"},
        "data": _only("image_size", values.get("data", {})),
        "model": _only("num_layers", values.get("model", {})),
    }
    try:
        Config.model_validate(together)
    except ValidationError as error:
        errors |= {one["loc"]: one for one in error.errors(include_url=False)}
    return None, list(errors.values())


def _only(key: str, section: Any) -> Any:
    if not isinstance(section, dict):
        return section
    return {other: value for other, value in section.items() if other == key}
