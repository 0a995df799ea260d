"""Makes one file of a run's page: pictures, charts and scripts inside."""

import base64
import hashlib
import html
import io
import json
import re
import urllib.parse
from collections.abc import Iterable
from pathlib import Path

from jinja2.utils import htmlsafe_json_dumps
from PIL import Image
from plotly.offline import get_plotlyjs

from gallery.class_sheets import small_name
from gallery.thumbnails import UNREADABLE, grid_name, thumbnail_name
from gallery.timelapse import chosen_grids

WEBP_QUALITY = 90
DATA = re.compile(r'(<script type="application/json" id="data">)(.*?)(</script>)', re.S)
POLICY = re.compile(r'(http-equiv="Content-Security-Policy" content=")([^"]*)(")')
PICTURE = re.compile(r'\bsrc="([^"]*)"')
LINK = re.compile(r' href="(?!#|data:)[^"]*"')
# What a copy has not: other files, the other runs, the training that goes on.
ELSEWHERE = [
    re.compile(rf"<({tag}) {mark}[ >].*?</\1>\n?", re.S)
    for tag, mark in (
        ("nav", 'class="crumb"'),
        ("span", 'class="explore"'),
        ("div", 'class="live"'),
        ("tr", 'class="files"'),
        ("a", 'class="enlarge"'),
        ("section", 'id="made"'),
        ("section", 'id="checkpoints"'),
    )
]
UPDATED = re.compile(r'(<span class="quiet" id="updated">)(.*?)(</span>)')
MOST_SHEETS = 24  # of classes; as many as a page shows of one class
MOST_GRIDS = 100  # at 64 px ten megabytes, which can still be sent


def self_contained(folder: Path, page: str, places: Iterable[str] = ()) -> str:
    """Returns a run's page with all that it shows inside, so that it needs no folder.

    Pictures become WebP. Of the grids, the last is there in its full size and of the
    others the thumbnail; of more than `MOST_GRIDS`, so many. What leads to other files,
    which a copy would not have, is taken out.

    Args:
        folder: Where the page's pictures are.
        page: The text of its index.html.
        places: Paths on this machine, of which the page then has the last part only.
    """
    for part in ELSEWHERE:
        page = part.sub("", page)
    page = LINK.sub("", page)
    for place in sorted(places, key=len, reverse=True):
        page = page.replace(html.escape(place), html.escape(Path(place).name))
    page = PICTURE.sub(lambda found: f'src="{_inside(folder, found[1])}"', page)
    data = DATA.search(page)
    values = json.loads(data[2]) if data else {}
    values["live"] = None
    scripts = ""
    if values.get("charts"):
        values["plotly"] = None
        scripts = get_plotlyjs()
    written = values.get("iterations", [])
    iterations = values["iterations"] = chosen_grids(written, MOST_GRIDS)
    if len(iterations) < len(written):
        told = f", {len(iterations)} of {len(written):,} grids"
        page = UPDATED.sub(lambda found: found[1] + found[2] + told + found[3], page)
    names = [thumbnail_name(iteration) for iteration in iterations]
    names += map(grid_name, iterations[-1:])
    sheets = values.get("sheets")
    if sheets:
        names += map(small_name, chosen_grids(sheets["iterations"], MOST_SHEETS))
    values["files"] = {name: _inside(folder, name) for name in names}
    before = f"<script>{scripts}</script>\n" if scripts else ""
    script_data = str(htmlsafe_json_dumps(values, separators=(",", ":")))
    page = DATA.sub(lambda found: before + found[1] + script_data + found[3], page)
    return POLICY.sub(
        lambda found: found[1] + _policy(found[2], scripts) + found[3], page
    )


def _inside(folder: Path, link: str) -> str:
    """Returns a picture as a data URI, an empty one if it cannot be read."""
    if link.startswith("data:"):
        return link
    path = folder / urllib.parse.unquote(html.unescape(link))
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".png":
            with Image.open(io.BytesIO(content)) as picture:
                buffer = io.BytesIO()
                picture.convert("RGB").save(buffer, "WEBP", quality=WEBP_QUALITY)
            content = buffer.getvalue()
    except UNREADABLE:
        return "data:,"
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"


def _policy(policy: str, scripts: str) -> str:
    """Returns a page's policy with nothing allowed but what is inside."""
    hashes = re.findall(r"'sha256-[^']*'", policy)
    if scripts:
        digest = hashlib.sha256(scripts.encode()).digest()
        hashes.append(f"'sha256-{base64.b64encode(digest).decode()}'")
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )
