"""What is installed is pinned whole, agrees, and is accounted for."""

import re

import pytest
from tiny_run import REPOSITORY

KINDS = ("requirements", "requirements-gpu", "requirements-dev", "requirements-bench")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", re.MULTILINE)


def pins_in(name):
    """Returns {package: version} of what a file pins itself."""
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    found = PIN.findall(text)
    return {re.sub("[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_holds_what_is_asked_for_and_agrees_with_the_first(kind):
    locked, base = pins_in(f"{kind}.lock"), pins_in("requirements.lock")
    wanted = pins_in(f"{kind}.txt") | pins_in("requirements.txt")
    assert wanted.items() <= locked.items()
    assert {name: locked[name] for name in base} == base
    assert len(locked) > len(wanted)


def test_the_readme_says_what_each_dependency_is_for():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    said = readme.split("## What it stands on")[1].lower()
    said = re.sub(r"[\s_]+", "-", said)
    wanted = {name for kind in KINDS for name in pins_in(f"{kind}.txt")}
    assert {name for name in wanted if name not in said} == set()
