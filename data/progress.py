"""Shows how far the building of a cache is: a bar, or a line now and then."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

LINE_SECONDS = 30.0  # between two lines, where there is no terminal for a bar


class Progress:
    """Counts the files of a build as they are done."""

    def __init__(self, name: str, total: int, say: Callable[[str], None]) -> None:
        """Begins at nothing.

        Args:
            name: Stands before the bar.
            total: How many files there are.
            say: Receives a line now and then, if stderr is no terminal.
        """
        # disable=None shows the bar on terminals only.
        self._bar = tqdm(desc=name, total=total, leave=False, disable=None)
        self._total, self._say = total, say
        self._done = self._kept = 0
        self._began = self._last = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def keep(self, count: int) -> None:
        """Counts files that an earlier build has done; the speed is without them."""
        self._done += count
        self._kept += count
        self._bar.initial = self._kept
        self._bar.update(count)

    def counted(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yields items, each of them done when the next is asked for."""
        for item in items:
            yield item
            self._done += 1
            self._bar.update()
            now = time.monotonic()
            if self._bar.disable and now - self._last >= LINE_SECONDS:
                self._last = now
                self._say(self._line(now - self._began))

    def _line(self, seconds: float) -> str:
        rate = (self._done - self._kept) / seconds
        left = max(self._total - self._done, 0) / rate
        return (
            f"prepared {self._done:,} of {self._total:,}, {rate:,.0f} a second, "
            f"{tqdm.format_interval(left)} left"
        )
