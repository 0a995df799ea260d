"""Finds keys of a data source that is not the chosen one.

A preset may have them, so that `--set data.source=folder` works on any. But what a user
sets by hand and the run would not read is a misunderstanding, which would cost hours
of training on the wrong pictures.
"""

from settings.config import Config
from settings.continuing import PLACE_KEYS, SOURCE_KEYS
from settings.yaml_text import Complaint, Place, Written

SOURCE = ("data", "source")
OVERRIDE = 1  # Place.source of what --set wrote


def unread_overrides(written: Written) -> list[Complaint]:
    """Returns a complaint about each --set of a key that the chosen source ignores.

    A value of null takes a key away, which is no misunderstanding.
    """
    source = _source_of(written)
    return [
        Complaint(
            place,
            f"data.{key}",
            "would not be used",
            (
                ("expected", f"a key of data.source={source}{_keys_of(source)}"),
                ("found", f"a key of data.source={owner}"),
                ("cure", f"add --set data.source={owner}, or leave this one out"),
            ),
        )
        for key, owner, place in _unread(written, source)
        if place.source == OVERRIDE
    ]


def unread_notes(written: Written, config: Config) -> list[str]:
    """Returns a warning of each such key in a file that contradicts itself.

    That is a place of one's own photographs beside another source, or any such key in a
    file that names no source. Keys with their default value, as in the config.yaml of a
    run, say nothing; nor do any if --set chose the source.
    """
    place = written.places.get(SOURCE)
    if place is not None and place.source == OVERRIDE:
        return []
    defaults = type(config.data)()
    return [
        f"warning: {where.text}: data.{key} is ignored, as data.source is "
        f"{config.data.source}; to use it: --set data.source={owner}"
        for key, owner, where in _unread(written, config.data.source)
        if getattr(config.data, key) != getattr(defaults, key)
        and (place is None or key in PLACE_KEYS)
    ]


def _source_of(written: Written) -> str:
    """Returns the chosen source, or the default if none, or no text, was written."""
    section = written.values.get("data")
    found = section.get("source") if isinstance(section, dict) else None
    default: str = Config.model_fields["data"].default.source
    return found if isinstance(found, str) else default


def _keys_of(source: str) -> str:
    return " (" + ", ".join(f"data.{key}" for key in sorted(SOURCE_KEYS[source])) + ")"


def _unread(written: Written, source: str) -> list[tuple[str, str, Place]]:
    """Returns each key that is set but not read: key, its own source, place."""
    section = written.values.get("data")
    if source not in SOURCE_KEYS or not isinstance(section, dict):
        return []  # which is reported elsewhere
    return [
        (key, owner, written.places["data", key])
        for owner, keys in SOURCE_KEYS.items()
        for key in sorted(keys)
        if owner != source and section.get(key) is not None
    ]
