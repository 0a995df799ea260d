"""The scalars of a run as a page draws them: bounded, however long the run is."""

import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gallery.curves import is_finite

ITERATION = "iteration"
SPIKE = "spike/"  # begins the scalars of a row written for a spike
# Points of a curve that may stay when it is thinned; twice as many are its limit. It is
# several times what a chart can show.
MOST_KEPT = 8192


class Course:
    """The points of one scalar, all of them or, of many, those that matter.

    Once there are 2 MOST_KEPT, buckets of 2, 4, 8, ... successive points keep only
    their first, lowest and highest one. What is kept depends on the points alone, not
    on when somebody looks.
    """

    def __init__(self) -> None:
        self._num_seen = 0
        self._width = 1  # points of a bucket
        self._places, self._x = array.array("q"), array.array("q")
        self._y, self._calm = array.array("d"), array.array("b")

    def add(self, x: int, y: float, is_calm: bool) -> None:
        """Adds a point; `is_calm` unless its row was written for a spike."""
        self._places.append(self._num_seen)
        self._x.append(x)
        self._y.append(y)
        self._calm.append(is_calm)
        self._num_seen += 1
        if len(self._y) >= 2 * MOST_KEPT:
            self._thin()

    def points(self, calm_only: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Returns x, int64 [points], and y, float64 [points], in order."""
        x, y = np.array(self._x, np.int64), np.array(self._y, np.float64)
        if not calm_only:
            return x, y
        calm = np.array(self._calm, bool)
        return x[calm], y[calm]

    def _thin(self) -> None:
        kept = self._important()
        while len(kept) > MOST_KEPT:
            self._width *= 2
            kept = self._important()
        for values in (self._places, self._x, self._y, self._calm):
            values[:] = array.array(values.typecode, np.array(values)[kept].tolist())

    def _important(self) -> np.ndarray:
        """Returns which points stay: up to three of a bucket, and the last of all."""
        places, y = np.array(self._places), np.array(self._y)
        buckets = places // self._width
        by_height = np.lexsort((places, y, buckets))  # bucket after bucket
        firsts = np.flatnonzero(np.diff(buckets, prepend=-1))
        lasts = np.append(firsts[1:], len(y)) - 1
        lowest, highest = by_height[firsts], by_height[lasts]
        return np.unique(np.concatenate([firsts, lowest, highest, lasts[-1:]]))


class Scalars:
    """The finite scalars of rows, by name."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        """Adds rows, such as those of scalars.jsonl; any key may be missing."""
        self._courses: dict[str, Course] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a row; one without an iteration says nothing."""
        if not is_finite(row.get(ITERATION)):
            return
        is_calm = not any(key.startswith(SPIKE) for key in row)
        for key, value in row.items():
            if key != ITERATION and is_finite(value):
                course = self._courses.setdefault(key, Course())
                course.add(int(row[ITERATION]), float(value), is_calm)

    @property
    def names(self) -> list[str]:
        """The names that have a point, in the order of their first."""
        return list(self._courses)

    def points(
        self, name: str, calm_only: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns a scalar's iterations, int64, and values, float64 [points]."""
        return self._courses.get(name, Course()).points(calm_only)
