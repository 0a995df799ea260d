"""What the spike benchmark does: problems, rows, seeds, methods, in full and quick."""

import dataclasses
from collections.abc import Callable

from benchmarks.spikes.digits import Digits
from benchmarks.spikes.gan import GAN_ROWS, Gan
from benchmarks.spikes.gan_methods import GAN_METHODS, QUICK_GAN_METHODS
from benchmarks.spikes.gan_runs import Trainings
from benchmarks.spikes.methods import METHODS
from benchmarks.spikes.problems import Cliff, RareGradients, SkewedTargets
from benchmarks.spikes.rows import SIX_SPIKES, Row, at_scales, crossing
from benchmarks.spikes.runs import train

QUICK_METHODS = ("Adam .999", "Adam global_clipnorm", "LogAdam 1", "LogAdam adaptive")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A problem with its rows, and how many seeds tune and how many are reported.

    `tunings` says how a method is tuned: "clean" is without spikes, "spikes" under
    those of the row.
    """

    problem: object
    rows: tuple[Row, ...]
    num_tuning_seeds: int
    num_seeds: int
    methods: tuple = METHODS
    quick_methods: tuple[str, ...] = QUICK_METHODS
    train: Callable = train
    tunings: tuple[str, ...] = ("clean", "spikes")


def plans(quick: bool) -> list[Plan]:
    """Returns the plans of all problems but the GAN, the cheapest first."""
    one_weight = ("aligned", "random")  # the others are the same for a single weight
    six = [Row(), *SIX_SPIKES, *at_scales([Row(), Row("aligned", 1e4, "1 %")])]
    if quick:
        rows, seeds = [Row(), Row("aligned", 1e4, "1 %")], (2, 5)
        rows = rows + at_scales(rows, (100.0,))
        crossed = single_weight = six = rows
    else:
        seeds, crossed, single_weight = (5, 10), crossing(), crossing(one_weight)
    return [
        Plan(RareGradients, tuple(single_weight), *seeds),
        Plan(SkewedTargets, tuple(single_weight), *seeds),
        Plan(Digits, tuple(six), *((2, 5) if quick else (3, 8))),
        Plan(Cliff, tuple(crossed), *seeds),
    ]


def plan_of_gan(quick: bool, trainings: Trainings) -> Plan:
    """Returns the plan of the GAN."""
    problem, rows, num_seeds = Gan(), GAN_ROWS, 5
    if quick:
        smaller = {"num_steps": 80, "num_images": 1024, "num_scored": 256}
        problem = dataclasses.replace(problem, **smaller)
        rows, num_seeds = GAN_ROWS[:2], 2
    methods = GAN_METHODS, QUICK_GAN_METHODS
    return Plan(problem, rows, 1, num_seeds, *methods, trainings, ("clean",))
