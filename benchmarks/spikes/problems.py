"""The small problems of the spike benchmark: many runs side by side in NumPy.

A problem is made for an array of seeds, one for each run: equal seeds give equal
starting weights and equal batches, so that two runs of one seed are paired. Weights and
gradients are float32 [runs, weights], losses [runs]. `learning_rate` is the middle of
what Adam tries, `gradient_size` the norm of a large ordinary gradient: thresholds, and
SGD's learning rate, are tried around it. A run that ends above `worst_score` diverged.
"""

import functools

import numpy as np

from benchmarks.spikes.optimizers import Layout


def drawn_for_each(seeds: np.ndarray, draw: object) -> np.ndarray:
    """Returns draw(generator) of every seed, stacked; each seed is drawn once."""
    unique, places = np.unique(seeds, return_inverse=True)
    return np.stack([draw(np.random.default_rng([7, s])) for s in unique])[places]


class Cliff:
    """One recurrent unit over 50 steps, whose loss has a cliff (arXiv:1211.5063, 2.3).

    x <- w s(x) + b from x = 0.5, with s the logistic function; the loss is
    (s(x) - 0.7)^2 after 50 steps. Two weights, w and b, each a variable of its own; no
    noise but the start. The score is the share of steps with a loss above 1e-3.
    """

    name = "cliff"
    num_steps = 1000
    learning_rate, gradient_size = 0.03, 1.0
    layout = Layout(np.array([1, 1]), np.array([1, 1]))
    domain, averaged = None, False
    worst_score = 1.0
    unrolled_steps, target, solved_below = 50, 0.7, 1e-3

    def __init__(self, seeds: np.ndarray):
        """Draws the starts: w in (3, 7), b in (-4, -1), on either side of the cliff."""
        low, high = np.array([3.0, -4.0]), np.array([7.0, -1.0])
        start = drawn_for_each(seeds, lambda chance: chance.uniform(low, high))
        self.start = start.astype(np.float32)

    def loss_and_gradient(self, weights: np.ndarray, step: int) -> tuple:
        """Returns the loss and its gradient, by forward differentiation in float64."""
        w, b = weights.astype(np.float64).T
        x, x_by_w, x_by_b = np.full_like(w, 0.5), np.zeros_like(w), np.zeros_like(w)
        for _ in range(self.unrolled_steps):
            s = 0.5 + 0.5 * np.tanh(0.5 * x)
            slope = w * s * (1 - s)
            x, x_by_w, x_by_b = w * s + b, s + slope * x_by_w, 1 + slope * x_by_b
        s = 0.5 + 0.5 * np.tanh(0.5 * x)
        error = s - self.target
        outer = 2 * error * s * (1 - s)
        gradient = np.stack([outer * x_by_w, outer * x_by_b], axis=1)
        return np.square(error), gradient.astype(np.float32)

    def measures(self, losses: np.ndarray, late_weights: np.ndarray) -> dict:
        """Returns the score, NaN for a run that was lost, and the final loss."""
        final = losses[-len(losses) // 10 :].mean(axis=0)
        share = np.mean(losses >= self.solved_below, axis=0)
        return {"score": np.where(np.isnan(final), np.nan, share), "final": final}


class RareGradients:
    """g = 3000 once in 100 steps, else -10, for x in [-1, 1] (Reddi, arXiv:1904.09237).

    The mean is +20.1: -1 is best, +1 worst. The large gradients are rare and right. The
    loss is the expected regret (x + 1) / 2, the score its mean over the last fifth.
    """

    name = "rare_gradients"
    num_steps = 4000
    learning_rate, gradient_size = 0.01, 3000.0
    layout = Layout(np.array([1]), np.array([1]))
    domain, averaged = (-1.0, 1.0), True
    worst_score = 1.0

    def __init__(self, seeds: np.ndarray):
        """Draws when the large gradients come; x starts at 0."""
        draw = functools.partial(self._gradients, self.num_steps)
        self.gradients = drawn_for_each(seeds, draw)
        self.start = np.zeros((len(seeds), 1), np.float32)

    @staticmethod
    def _gradients(num_steps: int, chance: np.random.Generator) -> np.ndarray:
        large = chance.random(num_steps) < 0.01
        return np.where(large, 3000, -10).astype(np.float32)

    def loss_and_gradient(self, weights: np.ndarray, step: int) -> tuple:
        """Returns the expected regret and the drawn gradient."""
        return (weights[:, 0] + 1) / 2, self.gradients[:, step - 1, None]

    def measures(self, losses: np.ndarray, late_weights: np.ndarray) -> dict:
        """Returns the score and where x is, over the last fifth of the steps."""
        regret = losses[-self.num_steps // 5 :].mean(axis=0)
        return {"score": regret, "final": late_weights[:, 0]}


class SkewedTargets:
    """The mean of a lognormal of sigma 1.5 from batches of 16, by squared error.

    The true mean is exp(1.5^2 / 2) = 3.08; a robust rule finds something nearer the
    median, 1. The loss is ((x - mean) / mean)^2; the score is the distance of the mean
    of the last fifth of the steps, relative to the true mean.
    """

    name = "skewed_targets"
    num_steps = 4000
    learning_rate, gradient_size = 0.01, 10.0
    layout = Layout(np.array([1]), np.array([1]))
    domain, averaged = None, True
    worst_score = 1.0
    sigma, batch_size = 1.5, 16

    def __init__(self, seeds: np.ndarray):
        """Draws the means of all batches; x starts at the median, 1."""
        size = (self.num_steps, self.batch_size)

        def batch_means(chance: np.random.Generator) -> np.ndarray:
            return np.exp(self.sigma * chance.standard_normal(size)).mean(axis=1)

        self.targets = drawn_for_each(seeds, batch_means).astype(np.float32)
        self.mean = np.float32(np.exp(self.sigma**2 / 2))
        self.start = np.ones((len(seeds), 1), np.float32)

    def loss_and_gradient(self, weights: np.ndarray, step: int) -> tuple:
        """Returns the relative squared distance and the gradient x - target."""
        loss = np.square((weights[:, 0] - self.mean) / self.mean)
        return loss, weights - self.targets[:, step - 1, None]

    def measures(self, losses: np.ndarray, late_weights: np.ndarray) -> dict:
        """Returns the score and the signed bias, relative to the true mean."""
        bias = late_weights[:, 0] / self.mean - 1
        return {"score": np.abs(bias), "final": bias}
