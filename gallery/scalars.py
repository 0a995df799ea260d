"""The scalars of a run as a page draws them: bounded, however long the run is."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gallery.curves import is_finite

ITERATION = "iteration"
SPIKE = "spike/"  # begins the scalars of a row written for a spike
# Points of a curve that may stay when it is thinned; twice as many are its limit. It is
# several times what a chart can show.
MOST_KEPT = 8192
ROWS_AT_ONCE = 1024  # as one by one takes five times as long
POINT = np.dtype([("place", "i8"), ("x", "i8"), ("y", "f8"), ("calm", "?")])


class Course:
    """The points of one scalar, all of them or, of many, those that matter.

    Once there are 2 MOST_KEPT, buckets of 2, 4, 8, ... successive points keep only
    their first, lowest and highest one. What is kept depends on the points alone, not
    on when somebody looks.
    """

    def __init__(self) -> None:
        self._num_seen = 0
        self._width = 1  # points of a bucket
        self._kept = np.empty(0, POINT)

    def extend(self, points: list[tuple[int, float, bool]]) -> None:
        """Adds points: x, y, and whether they are calm, that is of no spike's row."""
        new = np.empty(len(points), POINT)
        new["x"], new["y"], new["calm"] = zip(*points, strict=True)
        new["place"] = self._num_seen + np.arange(len(points))
        self._num_seen += len(points)
        while len(new):
            room = 2 * MOST_KEPT - len(self._kept)
            self._kept = np.concatenate([self._kept, new[:room]])
            new = new[room:]
            if len(self._kept) == 2 * MOST_KEPT:
                self._thin()

    def points(self, calm_only: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Returns x, int64 [points], and y, float64 [points], in order.

        The newest are as dense as the others, so that equal parts of the points are
        equal parts of the run.
        """
        kept = self._kept if self._width == 1 else self._kept[self._important()]
        kept = kept[kept["calm"]] if calm_only else kept
        return kept["x"], kept["y"]

    def _thin(self) -> None:
        kept = self._important()
        while len(kept) > MOST_KEPT:
            self._width *= 2
            kept = self._important()
        self._kept = self._kept[kept]

    def _important(self) -> np.ndarray:
        """Returns which points stay: up to three of a bucket, and the last of all."""
        places, y = self._kept["place"], self._kept["y"]
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
        self._new: list[Mapping[str, Any]] = []
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a row; one without an iteration says nothing."""
        self._new.append(row)
        if len(self._new) == ROWS_AT_ONCE:
            self._sort_in()

    def _sort_in(self) -> None:
        points: dict[str, list[tuple[int, float, bool]]] = {}
        for row in self._new:
            if not is_finite(row.get(ITERATION)):
                continue
            x, is_calm = int(row[ITERATION]), not any(SPIKE in key for key in row)
            for key, value in row.items():
                if key != ITERATION and is_finite(value):
                    points.setdefault(key, []).append((x, value, is_calm))
        self._new = []
        for key, some in points.items():
            if key not in self._courses:
                self._courses[key] = Course()
            self._courses[key].extend(some)

    @property
    def names(self) -> list[str]:
        """The names that have a point, in the order of their first."""
        self._sort_in()
        return list(self._courses)

    def points(
        self, name: str, calm_only: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns a scalar's iterations, int64, and values, float64 [points]."""
        self._sort_in()
        return self._courses.get(name, Course()).points(calm_only)
