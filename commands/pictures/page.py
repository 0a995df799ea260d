"""Shows on a run's page what was made of it."""

import pathlib

from commands.chosen import Chosen
from gallery.made import MADE
from records.page import write_pages
from settings.messages import Problem, say


def show_on_page(chosen: Chosen, out: pathlib.Path) -> None:
    """Writes the page of a run anew if what was made lies in its folder.

    What was made is there in any case: a page that cannot be written is a warning.
    """
    folder = (chosen.run.samples / MADE).resolve()
    if chosen.file is not None or not out.resolve().is_relative_to(folder):
        return
    try:
        say(f"also on the run's page, {write_pages(chosen.run)}")
    except (Problem, OSError) as error:
        say(f"warning: the run's page could not be written: {error}")
