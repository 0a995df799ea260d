"""A small classifier of real images for the spike benchmark (scikit-learn's digits).

A perceptron of 64, 32, 32, 10 units, ReLU, softmax; gradients by hand, in float32. Of
the 1,797 images 1,097 are for training, 300 for the settings and 400 for the report.
"""

import functools

import numpy as np

from benchmarks.spikes.optimizers import Layout
from benchmarks.spikes.problems import drawn_for_each

# Kernels are [outputs, inputs]: the weights of a unit lie side by side.
SHAPES = [(32, 64), (32,), (32, 32), (32,), (10, 32), (10,)]
NUM_TRAINING, NUM_VALIDATION = 1097, 300
CHANCE_LOSS = float(np.log(10))


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns images float32 [1797, 64] in [0, 1] and labels, shuffled once."""
    from sklearn.datasets import load_digits  # which only this file needs

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    return (images[order] / 16).astype(np.float32), labels[order]


def starting_weights(chance: np.random.Generator) -> np.ndarray:
    """Returns He-normal kernels and zero biases as one row."""
    weights = [
        chance.standard_normal(shape) * np.sqrt(2 / shape[1])
        if len(shape) == 2
        else np.zeros(shape)
        for shape in SHAPES
    ]
    return np.concatenate([w.ravel() for w in weights]).astype(np.float32)


def as_variables(rows: np.ndarray) -> list[np.ndarray]:
    """Returns views of rows [runs, weights] as the six variables [runs, ...]."""
    ends = np.cumsum([np.prod(shape) for shape in SHAPES])
    pieces = np.split(rows, ends[:-1], axis=1)
    return [p.reshape(-1, *s) for p, s in zip(pieces, SHAPES, strict=True)]


def transposed(values: np.ndarray) -> np.ndarray:
    """Swaps the last two axes."""
    return values.swapaxes(-1, -2)


def activations(weights: np.ndarray, images: np.ndarray) -> tuple:
    """Returns both hidden layers and the log-probabilities, [runs, batch, units]."""
    w1, b1, w2, b2, w3, b3 = as_variables(weights)
    h1 = np.maximum(images @ transposed(w1) + b1[:, None], 0)
    h2 = np.maximum(h1 @ transposed(w2) + b2[:, None], 0)
    logits = h2 @ transposed(w3) + b3[:, None]
    logits -= logits.max(axis=-1, keepdims=True)
    log_sums = np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return h1, h2, logits - log_sums


def loss_of(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the mean cross-entropy [runs]; labels are [runs, batch] or [1, batch]."""
    chosen = np.take_along_axis(log_probabilities, labels[..., None], axis=-1)
    return -chosen[..., 0].mean(axis=-1)


class Digits:
    """Cross-entropy of the classifier; the score is the final validation loss."""

    name = "digits"
    num_steps = 800
    learning_rate, gradient_size = 3e-3, 1.0
    batch_size = 32
    layout = Layout(
        np.array([np.prod(shape) for shape in SHAPES]),
        np.concatenate([np.full(s[0], s[1] if len(s) == 2 else 1) for s in SHAPES]),
    )
    domain, averaged = None, False
    worst_score = CHANCE_LOSS

    def __init__(self, seeds: np.ndarray):
        """Draws the starting weights and the batches of all steps."""
        self.images, self.labels = digits()
        self.start = drawn_for_each(seeds, starting_weights)
        size = (self.num_steps, self.batch_size)
        self.batches = drawn_for_each(
            seeds + 1_000_000, lambda chance: chance.integers(NUM_TRAINING, size=size)
        )

    def loss_and_gradient(self, weights: np.ndarray, step: int) -> tuple:
        """Returns the loss of the step's batch and its gradient."""
        batch = self.batches[:, step - 1]
        images, labels = self.images[batch], self.labels[batch]
        h1, h2, log_probabilities = activations(weights, images)
        _, _, w2, _, w3, _ = as_variables(weights)
        chosen = labels[..., None] == np.arange(10)
        outer = (np.exp(log_probabilities) - chosen) / np.float32(self.batch_size)
        pieces = [transposed(outer) @ h2, outer.sum(axis=1)]
        outer = (outer @ w3) * (h2 > 0)
        pieces = [transposed(outer) @ h1, outer.sum(axis=1), *pieces]
        outer = (outer @ w2) * (h1 > 0)
        pieces = [transposed(outer) @ images, outer.sum(axis=1), *pieces]
        gradient = np.concatenate([p.reshape(len(weights), -1) for p in pieces], axis=1)
        return loss_of(log_probabilities, labels), gradient

    def measures(self, losses: np.ndarray, late_weights: np.ndarray) -> dict:
        """Returns the validation loss, the test error and the training loss.

        All are of the last weights: this problem averages none.
        """
        parts = np.split(np.arange(len(self.images)), self._ends())
        outcomes = [
            activations(late_weights, self.images[None, part])[2] for part in parts
        ]
        labels = [self.labels[None, part] for part in parts]
        wrong = outcomes[2].argmax(axis=-1) != labels[2]
        broken = ~np.isfinite(outcomes[2]).all(axis=(1, 2))
        return {
            "score": loss_of(outcomes[1], labels[1]),
            "final": np.where(broken, 0.9, wrong.mean(axis=1)),
            "training_loss": loss_of(outcomes[0], labels[0]),
        }

    @staticmethod
    def _ends() -> list[int]:
        return [NUM_TRAINING, NUM_TRAINING + NUM_VALIDATION]
