"""Writes a run's page as one file, to be sent to somebody."""

import pathlib

from commands.chosen import Chosen
from files.atomic import written_aside
from gallery.share import self_contained
from records.page import write_pages
from settings.config import Config
from settings.messages import Problem, say


def places_of(config: Config) -> list[str]:
    """Returns the absolute paths in a config, which tell of the machine."""
    data, metrics = config.data, config.metrics
    paths = [data.path, data.data_dir, data.cache_dir, metrics.weights]
    return [str(path) for path in paths if path and pathlib.Path(path).is_absolute()]


def write_share(chosen: Chosen, out: pathlib.Path) -> None:
    """Writes the page anew, then the file, and prints its path.

    Raises:
        Problem: If there is no run but a weights file, or nothing can be written.
    """
    if chosen.file is not None:
        raise Problem(
            f"{chosen.file}: a weights file has no page\n"
            "  expected: a run that has written samples"
        )
    try:
        index = write_pages(chosen.run)
        text = index.read_text(encoding="utf-8")
        page = self_contained(index.parent, text, places_of(chosen.config))
        with written_aside(out, durable=False) as aside:
            aside.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Problem(f"{out}: could not be written ({error})") from error
    say(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB); it needs no other file")
