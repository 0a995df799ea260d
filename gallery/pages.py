"""What the gallery's pages share: templates, number formats, scripts, Plotly."""

import base64
import functools
import hashlib
import json
import math
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import markupsafe
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from files.atomic import written_aside

# Beside the runs, whose names never start with a dot.
ASSETS = ".assets"
# Outside these bounds, a power of ten is easier to read than plain digits.
SMALLEST_PLAIN, LARGEST_PLAIN = 1e-3, 1e6
SIGNIFICANT_DIGITS = 4
NEGLIGIBLE = 0.005  # of the value beside it
NOTHING = "\u2013"


def write_page(path: Path, template: str, **values: object) -> Path:
    """Fills in a template and writes the page, all or nothing."""
    text = environment().get_template(template).render(**values)
    with written_aside(path, durable=False) as aside:
        # Names and texts may contain what UTF-8 cannot encode; it becomes "?".
        aside.write_bytes(text.encode("utf-8", errors="replace"))
    return path


def write_json(path: Path, value: object) -> None:
    """Writes a value as JSON, all or nothing."""
    with written_aside(path, durable=False) as aside:
        aside.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")


@functools.cache
def environment() -> jinja2.Environment:
    """Returns the environment of all templates, which escapes every value."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,  # an update must not reach a run in training
    )
    made.policies["json.dumps_kwargs"] = {
        "allow_nan": False,
        "separators": (",", ":"),
    }
    made.filters |= {
        "whole": whole_text,
        "number": number_text,
        "floor": floor_text,
        "size": size_text,
        "cell": cell_text,
        "link": link_text,
        "clock": clock_text,
    }
    made.globals["source"] = template_source
    return made


@functools.cache
def template_source(*names: str) -> markupsafe.Markup:
    """Returns files of the templates' folder unescaped, one after another."""
    folder = Path(__file__).parent / "templates"
    return markupsafe.Markup("".join((folder / name).read_text() for name in names))


@functools.cache
def script_hash(*names: str) -> str:
    """Returns the hash by which a page's policy allows these scripts and no others."""
    digest = hashlib.sha256(template_source(*names).encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


def write_plotly(samples: Path) -> str:
    """Writes Plotly once for all runs; returns its path relative to `samples`."""
    name = f"{ASSETS}/plotly-{get_plotlyjs_version()}.min.js"
    path = samples / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path, durable=False) as aside:
            aside.write_text(get_plotlyjs(), encoding="utf-8")
    return name


def whole_text(value: int) -> str:
    """Formats a count with thousands separators: 140,000."""
    return f"{value:,}"


def number_text(value: float) -> str:
    """Formats a number with about four digits: 0.4965, 67,072, 6.7e-05."""
    if isinstance(value, int) or value == 0:
        return f"{value:,}" if isinstance(value, int) else "0"
    if not math.isfinite(value):
        return str(value)
    if not SMALLEST_PLAIN <= abs(value) < LARGEST_PLAIN:
        return f"{value:.{SIGNIFICANT_DIGITS - 1}g}"
    decimals = SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, min(decimals, SIGNIFICANT_DIGITS))}f}"


def floor_text(floor: float, value: float) -> str:
    """Formats what photographs score, beside which a value is read."""
    is_nothing = abs(floor) < NEGLIGIBLE * abs(value)
    return "about 0" if is_nothing else number_text(floor)


def size_text(num_bytes: int) -> str:
    """Formats the size of a file: 812 KiB, 41.3 MiB."""
    size, unit = float(num_bytes), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return (
        f"{size:.0f} {unit}" if size >= 100 or unit == "bytes" else f"{size:.1f} {unit}"
    )


def cell_text(value: object) -> str:
    """Formats any value for a cell of a table."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number_text(value)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def link_text(path: str) -> str:
    """Quotes a relative path as a link, in which a colon or % means only itself."""
    return urllib.parse.quote(path, errors="replace")


def clock_text(seconds: float) -> str:
    """Formats seconds since the epoch as a date and time, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
