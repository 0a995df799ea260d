"""Programs that kill themselves at a chosen moment: as they are about to change a file.

Python tells an audit hook of each file that is opened for writing, renamed or removed,
of each folder made: between two such events only the contents of the open file differ.
A program that is killed before each of them in turn has therefore been killed at every
moment that makes a difference, whatever the machine's speed. A file that is opened is
there, and empty if it is to be written anew, before the kill; and before an unfinished
file is renamed there are two kills, one with half of that file.

The programs are forked from a process that has imported TensorFlow, but computed
nothing; so each starts in a fraction of a second, not in ten.
"""

import functools
import importlib
import multiprocessing
import os
import pathlib
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from unittest import mock

import tqdm
from tiny_run import REPOSITORY

from data.unfinished import UNFINISHED as OF_CACHES
from files.atomic import UNFINISHED

PRELOADED = ("commands.train", "commands.generate", "commands.evaluate", "killing")
OF_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# By event: which of its arguments are paths.
CHANGES = {"os.rename": (0, 1), "os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,)}
CHANGES |= {"os.truncate": (0,), "os.link": (0, 1), "os.symlink": (1,)}
MOST_KILLS = 500  # of one command, after which it is not getting anywhere
MOMENT, OUTPUT = "moment", "output"  # files beside the folder of the program


class Killer:
    """An audit hook that kills its process at the first moment that is not spent."""

    def __init__(
        self, folder: pathlib.Path, spent: frozenset[str], told: pathlib.Path
    ) -> None:
        """Begins to watch.

        Args:
            folder: Only what is changed below it counts.
            spent: The moments at which processes were killed before this one.
            told: The file that names the moment in the end.
        """
        self._folder = os.path.realpath(folder)
        self._spent = spent
        self._told = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._is_at_it = False

    def __call__(self, event: str, arguments: tuple) -> None:
        """Kills the process, if it is about to change a file."""
        paths = None if self._is_at_it else self._changed(event, arguments)
        if not paths:
            return
        names = " to ".join(map(nameless, paths))
        path = os.path.join(self._folder, paths[0])
        if event == "open":
            self._kill(f"opened {names}", lambda: os.open(path, arguments[2], 0o666))
            return
        if event == "os.rename" and UNFINISHED in path:
            halve = lambda: os.truncate(path, os.path.getsize(path) // 2)  # noqa: E731
            self._kill(f"in the midst of {names}", halve)
        self._kill(f"{event} {names}", lambda: None)

    def _kill(self, moment: str, prepare: Callable[[], object]) -> None:
        """Kills the process unless the moment is spent; prepares that moment first."""
        if moment in self._spent:
            return
        self._is_at_it = True
        try:
            prepare()
        except OSError:  # as the program itself is about to find out
            self._is_at_it = False
            return
        os.write(self._told, moment.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def _changed(self, event: str, arguments: tuple) -> list[str] | None:
        """Returns the paths that an event changes, relative to the folder."""
        if event == "open":
            path, _, flags = arguments
            paths = [path] if (flags or 0) & OF_WRITING else []
        else:
            paths = [arguments[place] for place in CHANGES.get(event, ())]
        found = []
        for path in paths:
            if isinstance(path, int):
                return None
            path = os.path.abspath(os.fsdecode(path))
            if not path.startswith(self._folder + os.sep) or path.endswith(".lock"):
                return None
            found.append(os.path.relpath(path, self._folder))
        return found


def nameless(path: str) -> str:
    """Returns a path without its numbers: of a process, an iteration, a time."""
    return re.sub(r"\d+", "#", path)


def _program(
    folder: pathlib.Path,
    script: str,
    arguments: list[str],
    spent: frozenset[str] | None,
) -> None:
    """Runs main of a script in a folder, in a process of its own."""
    os.chdir(folder)
    output = os.open(beside(folder, OUTPUT), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)  # tracing takes seconds
    tqdm.tqdm.set_lock(threading.RLock())  # else a semaphore outlives the process
    if spent is not None:
        sys.addaudithook(Killer(folder, spent, beside(folder, MOMENT)))
    main = importlib.import_module(script).main
    with mock.patch.object(sys, "argv", [f"{script}.py", *arguments]):
        sys.exit(main())


def beside(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Returns the path of a file that belongs to a folder, but is not in it."""
    return folder.with_name(f"{folder.name}.{name}")


@functools.cache
def _forks() -> multiprocessing.context.BaseContext:
    """Returns what starts a process that has imported everything already."""
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    places = [str(REPOSITORY), str(REPOSITORY / "tests")]
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(places)):
        forkserver.ensure_running()
    return context


def run(
    folder: pathlib.Path,
    script: str,
    *arguments: str,
    spent: frozenset[str] | None = None,
) -> int:
    """Runs a script in a folder; returns its exit status, -9 if it was killed.

    It is killed at the first moment that is not `spent`; None: never.
    """
    process = _forks().Process(
        target=_program, args=(folder, script, list(arguments), spent)
    )
    process.start()
    process.join()
    return process.exitcode


def output_of(folder: pathlib.Path) -> str:
    """Returns what the last program in a folder said."""
    return beside(folder, OUTPUT).read_text()


def unfinished_below(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the unfinished files below a folder, also those of a cache."""
    found = [*folder.rglob(f"*{UNFINISHED}*"), *folder.rglob(f"*{OF_CACHES}")]
    return sorted(set(found))


def killed_everywhere(
    folder: pathlib.Path,
    script: str,
    *arguments: str,
    spent: frozenset[str] = frozenset(),
) -> Iterator[str]:
    """Starts a script again and again, and has it killed at ever another moment.

    Each start goes on where the last one was killed, if the script can do that. The
    last start is not killed, as no moment is left, and must end with status 0. The
    moments in `spent` do not count.

    Yields:
        The moment, after each kill.
    """
    for _ in range(MOST_KILLS):
        status = run(folder, script, *arguments, spent=spent)
        if status != -signal.SIGKILL:
            assert status == 0, output_of(folder)
            return
        moment = beside(folder, MOMENT).read_text()
        assert moment and moment not in spent
        spent |= {moment}
        for path in folder.rglob(f"*{UNFINISHED}*"):
            os.utime(path, (0, 0))  # as if the next start came much later
        yield moment
    raise AssertionError(f"{MOST_KILLS} kills are not enough, the last at {moment}")
