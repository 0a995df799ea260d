"""Decodes photographs on all cores, and yields them in order.

Threads share one interpreter, which a small photograph keeps busy for most of its time:
two of them decode fewer than one alone. Many photographs are therefore decoded in
processes, which take a third of a second to start; few of them in threads.

A photograph that takes much memory is first postponed, then decoded when there is room.
The threads of this process wait for it, as no process does: one that is killed holds
nothing that another waits for.
"""

import collections
import functools
import multiprocessing
import os
import queue
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import BinaryIO

from PIL import Image

from data.budget import (
    BUDGET_BYTES,
    UNASKED_BYTES,
    Budget,
    Postponed,
    give_back_memory,
)
from data.crop import prepare
from data.source import DataError, Prepared, Skipped

FEWEST_FOR_PROCESSES = 1000  # photographs
MAX_WORKERS = 16  # what one process can take in and write down
# Of photographs that a process is sent at once: at most so many, and so many bytes of
# results, as all processes' together are held in memory.
MAX_CHUNK = 16
CHUNK_BYTES = 4 * 2**20

NamedFile = tuple[str, Callable[[], BinaryIO]]  # how to open it; can be pickled
Results = list[Prepared | Skipped | DataError]  # an error is the last
FirstResults = list[Prepared | Skipped | DataError | Postponed]
# Decodes some files, if they take no more than so many bytes of memory each.
Work = Callable[[list[NamedFile], int], FirstResults]


def prepare_all(
    files: Iterable[NamedFile], image_size: int, max_count: int
) -> Iterator[Prepared | Skipped]:
    """Yields the result of `prepare` for each file, in order, using all cores.

    Args:
        files: Name and opener of each; openers can be pickled.
        image_size: Side of the results in pixels.
        max_count: At most so many files there are.

    Raises:
        DataError: If the disk, not a file's content, is at fault; after the results of
            all files before.
    """
    num_workers = min(num_cores(), MAX_WORKERS)
    Image.init()  # Loads the decoders here, not in several threads at once.
    with ExitStack() as stack:
        if num_workers > 1 and max_count >= FEWEST_FOR_PROCESSES:
            connections = stack.enter_context(Processes(num_workers, image_size))
            decode: Work = connections.work
            chunk = chunk_size(image_size)
        else:
            decode = functools.partial(prepare_chunk, image_size)
            chunk = 1
        budget = Budget(BUDGET_BYTES)
        work = functools.partial(within_budget, decode, budget)
        pool = ThreadPoolExecutor(num_workers, thread_name_prefix="prepare")
        stack.callback(pool.shutdown, cancel_futures=True)
        stack.callback(budget.close)  # before that, which waits for what has begun
        yield from _in_order(files, chunk, pool, work, 2 * num_workers)


def num_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chunk_size(image_size: int) -> int:
    """Returns how many photographs a process is sent at once."""
    return min(max(CHUNK_BYTES // (3 * image_size**2), 1), MAX_CHUNK)


def within_budget(decode: Work, budget: Budget, files: list[NamedFile]) -> Results:
    """Returns the results of some files; of postponed ones, when there is room."""
    results: Results = []
    for file, result in zip(files, decode(files, UNASKED_BYTES), strict=False):
        while isinstance(result, Postponed):  # once more if the header is read now only
            with budget.taking(result.num_bytes):
                (result,) = decode([file], result.num_bytes)
        results.append(result)
        if isinstance(result, DataError):
            break
    return results


def prepare_chunk(
    image_size: int, files: list[NamedFile], allowed: int
) -> FirstResults:
    """Returns the results of some files, up to an error of the disk."""
    results: FirstResults = []
    try:
        for name, open_file in files:
            results.append(prepare(open_file, name, image_size, allowed))
    except DataError as error:
        results.append(error)
    if allowed > UNASKED_BYTES:
        give_back_memory()
    return results


def _in_order(
    files: Iterable[NamedFile],
    chunk: int,
    pool: ThreadPoolExecutor,
    work: Callable[[list[NamedFile]], Results],
    max_pending: int,
) -> Iterator[Prepared | Skipped]:
    """Yields the results of chunks in order, keeping the pool busy ahead of them."""
    pending: collections.deque[Future[Results]] = collections.deque()
    remaining = iter(files)
    while True:
        some = list(islice(remaining, chunk))
        if some:
            pending.append(pool.submit(work, some))
        if not pending:
            return
        if not some or len(pending) > max_pending:
            for result in pending.popleft().result():
                if isinstance(result, DataError):
                    raise result
                yield result


class Processes:
    """Processes that decode; each thread that calls `work` uses one of them.

    They end when this process closes its connections to them, or ends in any way.
    """

    def __init__(self, count: int, image_size: int) -> None:
        self._stack = ExitStack()
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        # A fork of a process with threads, as TensorFlow has, may hang.
        context = multiprocessing.get_context("spawn")
        # Ctrl-C at a terminal reaches these processes too: they inherit the block. It
        # would be lifted by the first start of the tracker that comes with them.
        resource_tracker.ensure_running()
        masked = signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGINT, signal.SIGUSR1}
        )
        try:
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_serve, args=(theirs, image_size), daemon=True
                )
                process.start()
                theirs.close()
                self._stack.callback(process.join)
                self._stack.callback(ours.close)
                self._idle.put(ours)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def work(self, files: list[NamedFile], allowed: int) -> FirstResults:
        """Has a chunk decoded by an idle process."""
        connection = self._idle.get()
        try:
            connection.send((files, allowed))
            return connection.recv()
        except (EOFError, ConnectionError):
            names = f"{files[0][0]} to {files[-1][0]}"
            error = DataError(
                f"a process that decodes photographs has died, at {names}\n"
                f"  what to do: run the same command again, which continues; if it "
                f"dies there again, free some memory, or look at these files"
            )
            return [error]
        finally:
            self._idle.put(connection)


def _serve(connection: Connection, image_size: int) -> None:
    """Decodes chunks until the connection is closed."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    Image.init()
    with suppress(EOFError, ConnectionError):
        while True:
            connection.send(prepare_chunk(image_size, *connection.recv()))
