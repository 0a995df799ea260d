"""The pages say what the program does, and what they link exists."""

import pathlib
import re
import runpy

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
PAGES = [
    one
    for folder in (".", "docs", "weights")
    for one in (REPOSITORY / folder).glob("*.md")
]
LINK = re.compile(r"\]\(\s*([^)\s#]+)")


def test_the_page_of_config_keys_is_what_the_code_says():
    page = runpy.run_path(str(DOCS / "write_config_page.py"))["page"]
    assert (DOCS / "config.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_or_shows_exists(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    own = [link for link in links if not re.match(r"\w+:", link)]
    assert [link for link in own if not (page.parent / link).exists()] == []
