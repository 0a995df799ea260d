"""The pages say what the program does."""

import pathlib
import runpy

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"


def test_the_page_of_config_keys_is_what_the_code_says():
    page = runpy.run_path(str(DOCS / "write_config_page.py"))["page"]
    assert (DOCS / "config.md").read_text(encoding="utf-8") == page()
