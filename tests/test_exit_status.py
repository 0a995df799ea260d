"""What ends a command: messages, exit statuses, and the last net."""

import pathlib
import re

import pytest

from commands.exit_status import exit_status
from settings.messages import Problem


def raising(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    "error, status, told",
    [
        (Problem("too small"), 2, "too small"),
        (Problem("diverged", 3), 3, "diverged"),
        (OSError(28, "No space left", "runs/x"), 2, "runs/x: No space left"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_a_user_can_mend_is_told_without_a_traceback(error, status, told, capsys):
    assert exit_status(raising(error), "all is whole; ") == status
    assert capsys.readouterr().err.startswith(told)
    assert exit_status(lambda: None) == 0
    assert exit_status(lambda: 75) == 75


def test_a_bug_is_told_in_two_lines_with_its_traceback_in_a_file(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    status = exit_status(
        raising(RecursionError("deep\n\ud800" * 500)), "all is whole; "
    )
    assert status == 1
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 2
    assert told.startswith("a bug: RecursionError: deep")
    assert "all is whole; please report it" in told
    (name,) = re.findall(r"report it with (\S+),", told)
    report = pathlib.Path(name).read_text()
    assert "Traceback" in report
    assert "raise error" in report
    assert "Python 3" in report


def test_a_bug_is_told_even_where_no_file_can_be_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert exit_status(raising(ValueError("odd"))) == 1
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "please report" in told
