"""How a run stands at this moment, in a small script beside its page.

A page opened from disk may not fetch a file, but it may load a script again and again.
So training writes `live.js` every few seconds, which calls a function of the page.
"""

import dataclasses
import json
import pathlib
from typing import Any

from files.atomic import written_aside
from gallery.curves import is_finite

LIVE_SCRIPT = "live.js"
DATA_SCRIPT = "page-data.js"
TRAINING, STOPPED, FINISHED = "training", "stopped", "finished"


@dataclasses.dataclass(frozen=True)
class Live:
    """How a run stands.

    Attributes:
        state: "training", "stopped" or "finished".
        iteration: iterations done.
        total_iterations: iterations planned.
        seen: time of this sign of life, seconds since the epoch.
        patience_seconds: after which silence means that the process has died.
        seconds_left: to the last iteration; None if not known yet.
        doing: what takes long at the moment, such as "building the networks".
        because: why it stopped, if nobody asked it to.
        command: continues the run; None if no command does.
        written: time when the page was last written, seconds since the epoch.
    """

    state: str
    iteration: int
    total_iterations: int
    seen: float
    patience_seconds: float = 0.0
    seconds_left: float | None = None
    doing: str | None = None
    because: str | None = None
    command: str | None = None
    written: float = 0.0


def write_live(folder: pathlib.Path, live: Live) -> None:
    """Writes live.js into the run's folder `samples/<run>`; all or nothing.

    Raises:
        OSError: If the file cannot be written.
    """
    told = dataclasses.asdict(live) | {"name": folder.name}
    write_call(folder / LIVE_SCRIPT, "takeLive", told)


def write_call(path: pathlib.Path, function: str, value: object) -> None:
    """Writes a script that calls a function of the page with a JSON value."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    with written_aside(path, durable=False) as aside:
        aside.write_text(f"{function}({text});\n", encoding="ascii")


def live_of(value: Any) -> Live | None:
    """Returns what a summary.json told, None if it tells nothing that can be used."""
    if not isinstance(value, dict):
        return None
    numbers = ("iteration", "total_iterations", "seen", "patience_seconds", "written")
    if not all(is_finite(value.get(key)) for key in numbers):
        return None
    if value.get("state") not in (TRAINING, STOPPED, FINISHED):
        return None
    left = value.get("seconds_left")
    return Live(
        state=value["state"],
        seconds_left=left if is_finite(left) else None,
        doing=_text(value, "doing"),
        because=_text(value, "because"),
        command=_text(value, "command"),
        **{key: value[key] for key in numbers},
    )


def _text(value: dict[str, Any], key: str) -> str | None:
    found = value.get(key)
    return found if isinstance(found, str) else None
