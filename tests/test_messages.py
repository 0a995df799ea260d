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


OUTLIVES = "from settings.messages import outlive_the_terminal, say\n"
OUTLIVES += "outlive_the_terminal()\n"


def ended(code, how):
    """Runs Python code in a shell that redirects as told; returns what came of it."""
    return subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {how}; echo "status ${{PIPESTATUS[0]}}"',
         sys.executable, OUTLIVES + code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    "how", ["| true", ">&-", "2>&-", "<&- >&- 2>&-", "> /dev/full"]
)
def test_nothing_that_becomes_of_its_streams_ends_a_program(how):
    code = (
        "import sys, time, tqdm\n"
        "time.sleep(0.2)\n"
        "for _ in range(2000): print('a line'); say('another'); say('warning: third')\n"
        "tqdm.tqdm(total=5, file=sys.stderr).update()\n"
        "print('end', file=sys.stderr)"
    )
    done = ended(code, how)
    assert done.stdout.endswith("status 0\n")
    assert "Error" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize(
    "command",
    ["train.py --config none.yaml", "generate.py none", "evaluate.py none"],
)
def test_the_status_is_the_same_without_streams(command):
    shell = f'"$0" {command} <&- >&- 2>&-'
    done = subprocess.run(["bash", "-c", shell, sys.executable], cwd=REPOSITORY)
    assert done.returncode == 2


def test_a_file_never_takes_the_number_of_a_closed_stream():
    code = "import os; fd = os.open('/dev/null', 0); os.write(1, b'%d\\n' % fd)"
    assert ended(code, "<&- 2>&-").stdout == "3\nstatus 0\n"


def test_text_that_a_terminal_has_no_letters_for_is_told_all_the_same():
    done = ended("print('\\u0431', file=__import__('sys').stderr)", "")
    assert "\u0431" in done.stderr
    encoding = "import sys; sys.stderr.reconfigure(encoding='ascii')\n"
    code = encoding + OUTLIVES + "print('\\u0431', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.stderr == "\\u0431\n"
