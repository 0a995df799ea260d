"""What was made of a run beside its grids, for its page: films, sheets, exports."""

import dataclasses
from pathlib import Path

from PIL import Image

from files.atomic import written_aside
from gallery.thumbnails import THUMBNAILS, UNREADABLE, WEBP_QUALITY

MADE = "generated"  # the folder beside a run's page
MOST_MADE = 48
THUMBNAIL_PIXELS = 320
PICTURES = (".png", ".webp", ".gif")
FILM = ".mp4"


@dataclasses.dataclass(frozen=True)
class Made:
    """A file or folder, with paths relative to the page.

    Attributes:
        path: what to open.
        name: its file name.
        num_files: in a folder; 1 for a file.
        num_bytes: of all of them.
        thumbnail: a small still picture; None if it shows nothing.
    """

    path: str
    name: str
    num_files: int
    num_bytes: int
    thumbnail: str | None


def made_in(folder: Path) -> tuple[list[Made], int]:
    """Lists what is in a run's folder of generated things, and writes thumbnails.

    Returns:
        The newest, at most MOST_MADE, and how many there are in all.
    """
    try:
        paths = [
            path for path in (folder / MADE).iterdir() if not path.name.startswith(".")
        ]
        paths.sort(key=lambda path: (-path.stat().st_mtime_ns, path.name))
    except OSError:  # none yet, or removed meanwhile
        return [], 0
    found = [_made(folder, path) for path in paths[:MOST_MADE]]
    return [made for made in found if made is not None], len(paths)


def _made(folder: Path, path: Path) -> Made | None:
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        num_bytes = sum(file.stat().st_size for file in files)
        thumbnail = _thumbnail(folder, path, files[0]) if files else None
    except OSError:
        return None
    name = f"{MADE}/{path.name}" + ("/" if path.is_dir() else "")
    return Made(name, path.name, len(files), num_bytes, thumbnail)


def _thumbnail(folder: Path, path: Path, shown: Path) -> str | None:
    """Returns the path of a thumbnail, which it writes if it is missing or old."""
    if shown.suffix.lower() not in (*PICTURES, FILM):
        return None
    name = f"{THUMBNAILS}/{MADE}/{path.name}.webp"
    thumbnail = folder / name
    if thumbnail.exists() and thumbnail.stat().st_mtime_ns >= shown.stat().st_mtime_ns:
        return name
    try:
        still = _still(shown)
    except UNREADABLE:
        return None
    still.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    thumbnail.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(thumbnail, durable=False) as aside:
        still.save(aside, "WEBP", quality=WEBP_QUALITY)
    return name


def _still(path: Path) -> Image.Image:
    """Returns a picture, or the first frame of a film."""
    if path.suffix.lower() != FILM:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    import av  # large libraries, which training should not load

    try:
        with av.open(str(path)) as film:
            return next(film.decode(video=0)).to_image()
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise ValueError(f"Expected a film. Received: {path}") from error
