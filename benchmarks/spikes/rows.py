"""The spikes of the benchmark: what a row of the table does to a gradient, and when."""

import dataclasses
import itertools

import numpy as np

from benchmarks.spikes.optimizers import Layout

KINDS = ("aligned", "random", "subset", "layer")
SIZES = (30.0, 1e2, 1e4, 1e8, 1e20, np.inf)
TIMES = ("early", "late", "0.1 %", "1 %")
SUBSET = 0.05  # of the weights, and at least one
# The share of all steps at which the one spike comes.
FIRST_STEP = {"first": 0.0, "early": 0.05, "late": 0.6}


def size_name(size: float) -> str:
    """Returns 30, 100, 1e4, 1e20, inf."""
    if size < 1e3:
        return f"{size:g}"
    return f"{size:.0e}".replace("+0", "").replace("+", "")


@dataclasses.dataclass(frozen=True)
class Row:
    """One kind of spike, its size as a multiple, its times, and the loss's scale.

    kind    none; aligned: the gradient times size; random: normal noise in its
            place, size times each variable's RMS; subset: 5 % of the elements times
            size; layer: one variable (the third, or the last) times size
    time    first, early or late: one spike at the first step, at 5 % or at 60 % of the
            steps; 0.1 % or 1 %: that share of the steps, at random, at least one
    scale   what the loss, and so every gradient, is multiplied by
    """

    kind: str = "none"
    size: float = 1.0
    time: str = "late"
    scale: float = 1.0

    @property
    def name(self) -> str:
        """What the tables call the row."""
        spikes = f"{self.kind} x{size_name(self.size)} {self.time}"
        spikes = spikes if self.spiky else "clean"
        return spikes if self.scale == 1 else f"{spikes}, loss x{self.scale:g}"

    @property
    def spiky(self) -> bool:
        """Whether there is a spike at all."""
        return self.kind != "none"


def steps_with_spikes(row: Row, seed: int, num_steps: int) -> np.ndarray:
    """Returns bool [num_steps + 1], by the number of the step, which begins at 1."""
    hit = np.zeros(num_steps + 1, bool)
    if not row.spiky:
        return hit
    if row.time in FIRST_STEP:
        hit[max(1, round(FIRST_STEP[row.time] * num_steps))] = True
        return hit
    count = max(1, round(float(row.time.removesuffix("%")) / 100 * num_steps))
    candidates = np.arange(num_steps // 20, num_steps * 19 // 20)
    chance = np.random.default_rng([11, seed])
    hit[chance.choice(candidates, count, replace=False)] = True
    return hit


def scaled(values: np.ndarray, size: float) -> np.ndarray:
    """Returns values x size, where 0 x inf is 0."""
    values = values.astype(np.float32)
    product = np.zeros_like(values)
    return np.multiply(values, np.float32(size), out=product, where=values != 0)


def spike(
    gradient: np.ndarray, row: Row, seed: int, step: int, layout: Layout
) -> np.ndarray:
    """Returns the spiked gradients of runs of one row and one seed, [runs, weights].

    The noise is a function of (seed, step): all methods and settings meet the same.
    """
    chance = np.random.default_rng([13, seed, step])
    num_weights = gradient.shape[1]
    if row.kind == "aligned":
        return scaled(gradient, row.size)
    if row.kind == "random":
        sizes = layout.variable_sizes
        mean_square = layout.over(sizes, np.square(gradient.astype(np.float64))) / sizes
        rms = np.repeat(np.sqrt(mean_square), sizes, axis=1)
        return scaled(rms * chance.standard_normal(num_weights), row.size)
    if row.kind == "subset":
        count = max(1, round(SUBSET * num_weights))
        places = chance.choice(num_weights, count, replace=False)
    else:
        ends = np.cumsum(layout.variable_sizes)
        variable = min(2, len(ends) - 1)
        places = slice(ends[variable] - layout.variable_sizes[variable], ends[variable])
    gradient = gradient.copy()
    gradient[:, places] = scaled(gradient[:, places], row.size)
    return gradient


def crossing(kinds: tuple[str, ...] = KINDS, scales: tuple = (0.01, 100.0)) -> list:
    """Returns every row: clean, all spikes, one at the first step, scaled losses."""
    spikes = [Row(*parts) for parts in itertools.product(kinds, SIZES, TIMES)]
    rows = [Row(), *spikes, Row("aligned", 1e4, "first")]
    return rows + at_scales([Row(), Row("random", 1e4, "1 %")], scales)


def at_scales(rows: list[Row], scales: tuple = (0.01, 100.0)) -> list[Row]:
    """Returns the rows at every scale of the loss."""
    return [dataclasses.replace(row, scale=s) for s in scales for row in rows]


SIX_SPIKES = [
    Row("aligned", 30.0, "1 %"),
    Row("aligned", 1e4, "1 %"),
    Row("random", 1e4, "0.1 %"),
    Row("subset", 1e4, "1 %"),
    Row("layer", 1e8, "early"),
    Row("aligned", 1e20, "late"),
]
