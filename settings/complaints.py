"""Turns pydantic's errors into messages: place, key, expected, found and nearest."""

import difflib
import re
import textwrap
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from settings.config import Config
from settings.key_types import Expected
from settings.messages import Problem
from settings.yaml_text import Complaint, KeyPath, Written, dotted

Kind = tuple[Any, tuple[Any, ...]]  # a type, and its Annotated metadata

DETAIL_WIDTH = 76  # with its label, a detail fills the project's 88 columns
LONGEST_FOUND = 60
LARGEST_WRITTEN_OUT = 1e15  # never suggest writing 1e300 as a whole number


class ConfigError(Problem):
    """A config that cannot be used; the message lists all its mistakes (status 2)."""


def complaint_about(error: ErrorDetails, written: Written) -> Complaint:
    """Describes one of `ValidationError.errors()` about a Config, and where it is."""
    path = error["loc"]
    place, key = written.place(path), dotted(path)
    if error["type"] == "extra_forbidden":
        details = [("expected", _listed(_model_at(path[:-1]).model_fields))]
        details += [("nearest", other) for other in _nearest_key(path)]
        return Complaint(place, key, "unknown key", tuple(details))
    if error["type"] == "missing":
        return Complaint(place, key, "missing", (("expected", _expected(path)),))
    expected = error["msg"] if error["type"] == "mistake" else _expected(path)
    details = [("expected", expected), ("found", _found(path, error, written))]
    if error["type"] == "literal_error":
        choices = _choices(path)
        nearest = difflib.get_close_matches(str(error["input"]), choices, n=1)
        details += [("nearest", other) for other in nearest]
    return Complaint(place, key, "", tuple(details))


def text_keys() -> frozenset[KeyPath]:
    """Returns the paths of all keys whose values are free text."""
    return frozenset(
        (section, key)
        for section, model in _sections().items()
        for key in model.model_fields
        if any(kind is str for kind, _ in _kinds_at((section, key)))
    )


def _sections() -> dict[str, type[BaseModel]]:
    return {name: _model_at((name,)) for name in Config.model_fields}


def _kinds(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[Kind]:
    """Yields each member of a union, stripped of Annotated, with its metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        yield from _kinds(inner, (*metadata, *more))
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _kinds(member, metadata)
    else:
        yield annotation, metadata


def _kinds_at(path: KeyPath) -> list[Kind]:
    """Returns the types that a key or list item may have."""
    kinds: list[Kind] = [(Config, ())]
    for part in path:
        if isinstance(part, int):
            kinds = list(_kinds(get_args(kinds[0][0])[0]))
        else:
            field = _only_model(kinds).model_fields[part]
            kinds = list(_kinds(field.annotation, tuple(field.metadata)))
    return kinds


def _only_model(kinds: list[Kind]) -> type[BaseModel]:
    models: Iterator[type[BaseModel]] = (
        kind for kind, _ in kinds if issubclass(kind, BaseModel)
    )
    return next(models)


def _model_at(path: KeyPath) -> type[BaseModel]:
    return _only_model(_kinds_at(path))


def _expected(path: KeyPath) -> str:
    words = []
    for kind, metadata in _kinds_at(path):
        named = [item.text for item in metadata if isinstance(item, Expected)]
        if kind is types.NoneType:
            words.append("null")
        elif named:
            words.append(named[0])
        elif get_origin(kind) == Literal:
            words.append("one of " + ", ".join(_choices(path)))
        else:
            words.append("keys with values, such as " + _example(kind))
    return " or ".join(words)


def _example(model: type[BaseModel]) -> str:
    return f"{next(iter(model.model_fields))}: ..."


def _found(path: KeyPath, error: ErrorDetails, written: Written) -> str:
    """Describes the value that was written, or says that it is the default."""
    value = error["input"]
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = written.texts.get(path, str(value))
    if len(text) > LONGEST_FOUND:
        text = text[:LONGEST_FOUND] + "..."
    if isinstance(value, str):
        is_octal = re.match("[-+]?0[0-9]", value) and error["type"] != "mistake"
        return f"text '{text}'" + (
            " (a number has no leading zero)" if is_octal else ""
        )
    if path not in written.places:
        return f"{text} (the default)"
    is_whole = isinstance(value, float) and value.is_integer()
    if error["type"] == "int_type" and is_whole and abs(value) < LARGEST_WRITTEN_OUT:
        return f"{text} (write {int(value)})"
    return text


def _listed(keys: Any) -> str:
    return textwrap.shorten(
        "one of " + ", ".join(sorted(keys)), DETAIL_WIDTH, placeholder=" ..."
    )


def _choices(path: KeyPath) -> list[str]:
    """Returns the choices of a Literal key, as YAML writes them."""
    return [
        str(choice).lower()
        for kind, _ in _kinds_at(path)
        if get_origin(kind) == Literal
        for choice in get_args(kind)
    ]


def _nearest_key(path: KeyPath) -> list[str]:
    """Returns the dotted key closest to an unknown one, if any is close.

    The same name in another section comes first, then this section's keys, then others.
    """
    *above, last = path
    key = str(last)
    elsewhere: dict[str, str] = {}
    for section, model in _sections().items():
        for other in model.model_fields:
            elsewhere.setdefault(other, f"{section}.{other}")
    if key in elsewhere.values():
        section, below = key.split(".")
        return [f"{below}, indented, on a line below {section}:"]
    if key in elsewhere:
        return [elsewhere[key]]
    own = difflib.get_close_matches(key, _model_at(tuple(above)).model_fields, n=1)
    if own:
        return [dotted((*above, own[0]))]
    return [elsewhere[name] for name in difflib.get_close_matches(key, elsewhere, n=1)]
