"""The methods of the spike benchmark: their rules, and nine settings for each."""

import dataclasses
import functools

import numpy as np

from benchmarks.spikes import optimizers as rules

ADAM_99 = functools.partial(rules.adam, beta_2=0.99)
ADAM_9 = functools.partial(rules.adam, beta_2=0.9)
ARTICLE_KNEE = functools.partial(rules.damp_at, 1.0)
SMALL_KNEE = functools.partial(rules.damp_at, 1e-3)
# The adaptive rule nearer to the usual gradient, and with a knee that does not shrink.
NEAR_KNEE = functools.partial(rules.damp_adaptively, knee=1.0)
STAYING_KNEE = functools.partial(rules.damp_adaptively, shrinks=False)
TUNED_KNEE = functools.partial(rules.damp_at, None)


@dataclasses.dataclass(frozen=True)
class Method:
    """A name for the tables, rules in order, thresholds to try, a factor for its rate.

    Where `absolute`, thresholds are multiples of the problem's gradient size. The rate
    is the problem's, which is meant for Adam, times `rate_factor`; for SGD, whose steps
    have the unit of the gradient, it is also divided by that size.
    """

    name: str
    rules: tuple
    thresholds: tuple[float, ...] = ()
    absolute: bool = False
    rate_factor: float = 1.0

    def settings(self, problem: type) -> list[tuple[float, float]]:
        """Returns nine (learning rate, threshold): 3 x 3, or 9 rates and no threshold.

        Learning rates span a factor of 10 with a threshold, of 100 without.
        """
        middle = problem.learning_rate * self.rate_factor
        if rules.sgd in self.rules:
            middle /= problem.gradient_size
        if not self.thresholds:
            return [(float(middle * 10**e), 1.0) for e in np.linspace(-1, 1, 9)]
        unit = problem.gradient_size if self.absolute else 1.0
        rates = [float(middle * 10**e) for e in (-0.5, 0.0, 0.5)]
        return [(rate, unit * float(t)) for rate in rates for t in self.thresholds]


METHODS = (
    Method("Adam .999", (rules.adam,)),
    Method("Adam .99", (ADAM_99,)),
    Method("Adam .9", (ADAM_9,)),
    Method("Adam clipnorm", (rules.clip_norm, rules.adam), (0.01, 0.1, 1.0), True),
    Method(
        "Adam global_clipnorm", (rules.clip_global_norm, rules.adam), (0.1, 1, 10), True
    ),
    Method("Adam clipvalue", (rules.clip_value, rules.adam), (1e-3, 1e-2, 0.1), True),
    Method("Adam AGC", (rules.clip_unit_norm, rules.adam), (0.01, 0.03, 0.1)),
    Method("Adam ZClip", (rules.clip_z_score, rules.adam), (2.0, 2.5, 3.0)),
    Method("Adam clip 3 r", (rules.clip_usual, rules.adam)),
    Method("SPAM", (rules.spam,), (50.0, 500.0, 5000.0)),
    Method("AdamWClip", (rules.clip_sigmas, rules.adam), (1.0, 3.0, 10.0)),
    Method("Lion", (rules.lion,), rate_factor=0.1),
    Method("SGD", (rules.sgd,), rate_factor=10.0),
    Method(
        "SGD global_clipnorm",
        (rules.clip_global_norm, rules.sgd),
        (0.1, 1, 10),
        absolute=True,
        rate_factor=10.0,
    ),
    Method("LogSGD 1", (ARTICLE_KNEE, rules.sgd), rate_factor=10.0),
    Method("LogSGD adaptive", (rules.damp_adaptively, rules.sgd), rate_factor=10.0),
    Method("LogLion adaptive", (rules.damp_adaptively, rules.lion), rate_factor=0.1),
    Method("LogAdam 1", (ARTICLE_KNEE, rules.adam)),
    Method("LogAdam 1e-3", (SMALL_KNEE, rules.adam)),
    Method("LogAdam knee tuned", (TUNED_KNEE, rules.adam), (1e-4, 1e-3, 1e-2), True),
    Method("LogAdam adaptive", (rules.damp_adaptively, rules.adam)),
    Method("LogAdam adaptive .99", (rules.damp_adaptively, ADAM_99)),
    Method("LogAdam adaptive, 1 r", (NEAR_KNEE, rules.adam)),
    Method("LogAdam adaptive, staying", (STAYING_KNEE, rules.adam)),
)
