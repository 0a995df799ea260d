"""Writes docs/config.md from the docstrings of the config's keys.

    .venv/bin/python docs/write_config_page.py

The meaning of a key stands once, beside its default in settings/config.py.
"""

import ast
import inspect
import pathlib
import sys

import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "config.md"
sys.path.insert(0, str(REPOSITORY))

from settings.config import Config  # noqa: E402 (found by the line above)

HEAD = """\
# Every key of a config

A config is YAML: sections, and keys in them. Only `run.name` is required. One key is
overridden by `--set section.key=value`, which may be repeated. Keys of a source, an
optimizer or a schedule that is not the chosen one are valid and ignored. A mistake is
answered with its line, what was expected and the nearest key, before anything is built.

A run that continues may change `training.total_iterations`, `training.max_minutes`, its
`..._every_iterations` keys, what it keeps, what is done about divergence
(`training.divergence_iterations`, `training.max_rollbacks`), `metrics`,
`runtime.distribution`, and where the same data lies. Everything else is what the run
is, and needs `--from` or `--fresh`.

This page is written by `docs/write_config_page.py`.
"""


def meanings(section: type) -> dict[str, str]:
    """Returns the docstring below each key of a section's class and its bases."""
    found = {}
    for base in reversed(section.__mro__):
        if not base.__module__.startswith("settings."):
            continue
        body = ast.parse(inspect.getsource(base)).body[0].body
        for key, text in zip(body, body[1:], strict=False):
            if isinstance(key, ast.AnnAssign) and isinstance(text, ast.Expr):
                found[key.target.id] = " ".join(ast.literal_eval(text.value).split())
    return found


def section_table(name: str, section: type) -> str:
    """Returns one section of the page."""
    lines = [
        f"## {name}",
        "",
        inspect.getdoc(section).splitlines()[0],
        "",
        "| key | default | meaning |",
        "|---|---|---|",
    ]
    said = meanings(section)
    for key, field in section.model_fields.items():
        default = "required"
        if not field.is_required():
            text = yaml.safe_dump(field.default, default_flow_style=True)
            plain = text.removesuffix("...\n").strip()
            default = f"`{plain}`"
        meaning = said[key].replace("|", "\\|")
        lines.append(f"| `{name}.{key}` | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Returns the whole page."""
    sections = Config.model_fields.items()
    tables = [section_table(name, field.annotation) for name, field in sections]
    return "\n".join([HEAD, *tables])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
