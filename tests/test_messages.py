"""Lines for people: where they go, and what happens where nobody listens."""

import io
import subprocess
import sys

import pytest
from tiny_run import REPOSITORY

from settings.messages import say


def test_warnings_go_to_stderr_and_the_rest_to_stdout(capsys):
    say("a line")
    say("warning: another")
    assert tuple(capsys.readouterr()) == ("a line\n", "warning: another\n")


@pytest.mark.parametrize("stdout", [None, io.StringIO()], ids=["none", "closed"])
def test_a_closed_terminal_is_no_error(monkeypatch, stdout):
    if stdout is not None:
        stdout.close()
    monkeypatch.setattr(sys, "stdout", stdout)
    say("a line")


def test_a_program_goes_on_when_its_reader_has_gone():
    code = (
        "import sys\n"
        "from settings.messages import say\n"
        "sys.stdin.read()\n"
        "for _ in range(1000): say('a line')\n"
        "print('went on', file=sys.stderr)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read().startswith("went on")
