"""A linear probe: which class an image is of, by its features alone.

Multinomial logistic regression (Bishop 2006, section 4.3.4), fitted to photographs. For
each class c, weights w_c and a bias b_c minimise

    mean over photographs of -log softmax(w x + b)[class] + penalty / 2 * sum |w_c|^2

with x the features, centred and divided by one number for all, so that their scales
among each other stay. The photographs are split into folds, and each fold's probe is
fitted to the other folds: it judges photographs that it has not seen, and generated
images, which none has seen, are judged by the same probes.
"""

import dataclasses
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from files.atomic import written_aside
from metrics.statistics import checked_features

NUM_FOLDS = 5
# From stronger to weaker; each is fitted from the one before.
PENALTIES = (0.1, 0.01, 0.001)
# Of L-BFGS, for the mean loss. A slope of 1e-3 costs half a percent of the accuracy on
# Oxford Flowers.
MOST_STEPS, LEAST_SLOPE, LEAST_PROGRESS = 300, 1e-4, 1e-9


class Probe(NamedTuple):
    """A fitted probe.

    Attributes:
        centre: float32 [num_features].
        scale: Root mean square of the centred features.
        weights: float64 [num_classes, num_features + 1]; the bias comes last.
    """

    centre: np.ndarray
    scale: float
    weights: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns float64 [count, num_classes] of features [count, num_features]."""
        scaled = (features - self.centre) / self.scale
        logits: np.ndarray = scaled @ self.weights[:, :-1].T + self.weights[:, -1]
        return logits

    def ranks(self, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns how many other classes are at least as likely, int [count].

        0: the image is taken for its class; 4: its class is the last of the first five.
        """
        logits = self.logits(features)
        own = logits[np.arange(len(labels)), labels]
        others: np.ndarray = (logits >= own[:, None]).sum(1) - 1
        return others


@dataclasses.dataclass(frozen=True)
class CrossValidated:
    """A probe for each fold, fitted to the photographs of the others.

    Attributes:
        probes: As many as folds.
        held_out_ranks: `Probe.ranks` of the photographs, each by the probe of its fold.
        penalty: The one chosen, of `PENALTIES`.
    """

    probes: tuple[Probe, ...]
    held_out_ranks: np.ndarray
    penalty: float

    def ranks(self, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns `Probe.ranks` of generated images by every probe, [folds, count]."""
        return np.stack([probe.ranks(features, labels) for probe in self.probes])


def cross_validated(
    features: np.ndarray, labels: np.ndarray, draw: np.random.Generator
) -> CrossValidated:
    """Fits a probe to the photographs of all folds but one, for each fold.

    The penalty is the one whose probe gives the first fold the best likelihood; no
    generated image takes part in the choice.

    Args:
        features: float32 [count, num_features] of photographs.
        labels: int [count] in [0, num_classes); each class has NUM_FOLDS or more.
        draw: Splits each class over the folds.

    Raises:
        ValueError: If the labels are not such.
    """
    features = checked_features(features)
    counts = np.bincount(labels)
    if len(labels) != len(features) or len(counts) < 2 or counts.min() < NUM_FOLDS:
        raise ValueError(
            f"Expected a label for each of {len(features)} images, of two classes or "
            f"more with {NUM_FOLDS} images or more. Received: {len(labels)} labels, "
            f"images a class: {counts.tolist()}"
        )
    folds = folds_of(labels, draw)
    chosen, penalty = _chosen(features, labels, folds != 0)
    others = [
        fitted(features[folds != fold], labels[folds != fold], penalty)
        for fold in range(1, NUM_FOLDS)
    ]
    probes = (chosen, *others)
    ranks = np.empty(len(labels), np.int64)
    for fold, probe in enumerate(probes):
        held = folds == fold
        ranks[held] = probe.ranks(features[held], labels[held])
    return CrossValidated(probes, ranks, penalty)


def folds_of(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Returns each image's fold, int [count]; a class's are equal in size, to one.

    Classes begin at different folds, so that the folds are equal in size too.
    """
    folds = np.empty(len(labels), np.int64)
    for label in range(labels.max() + 1):
        own = draw.permutation(np.flatnonzero(labels == label))
        folds[own] = (np.arange(len(own)) + label) % NUM_FOLDS
    return folds


def _chosen(
    features: np.ndarray, labels: np.ndarray, is_fitted: np.ndarray
) -> tuple[Probe, float]:
    """Returns the penalty that suits the images not fitted best, and its probe."""
    best, least, start = None, np.inf, None
    held = labels[~is_fitted]
    for penalty in PENALTIES:
        probe = fitted(features[is_fitted], labels[is_fitted], penalty, start)
        start = probe.weights
        found = log_softmax(probe.logits(features[~is_fitted]), axis=1)
        loss = -float(found[np.arange(len(held)), held].mean())
        if best is None or loss < least:
            best, least = (probe, penalty), loss
    if best is None:
        raise ValueError("Expected one penalty or more. Received: none")
    return best


def fitted(
    features: np.ndarray,
    labels: np.ndarray,
    penalty: float,
    start: np.ndarray | None = None,
) -> Probe:
    """Fits a probe by L-BFGS, from `start`, the weights of another one, or from 0.

    Args:
        features: float32 [count, num_features].
        labels: int [count]; each of 0 to the largest occurs.
        penalty: Above 0.
        start: float64 [num_classes, num_features + 1].
    """
    centre = features.mean(0)
    scale = float(np.sqrt(np.square(features - centre).mean())) or 1.0
    # The multiplications take nearly all the time, and half as long in float32.
    scaled = ((features - centre) / scale).astype(np.float32)
    shape = (int(labels.max()) + 1, features.shape[1] + 1)
    is_own = np.eye(shape[0], dtype=np.float32)[labels]

    def loss_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape).astype(np.float32)
        logs = log_softmax(scaled @ weights[:, :-1].T + weights[:, -1], axis=1)
        likelihood = float((logs * is_own).sum(dtype=np.float64)) / len(labels)
        excess = (np.exp(logs) - is_own) / np.float32(len(labels))
        slope = np.empty(shape)
        slope[:, :-1] = excess.T @ scaled + penalty * weights[:, :-1]
        slope[:, -1] = excess.sum(0)
        squares = float(np.square(flat.reshape(shape)[:, :-1]).sum())
        return penalty / 2 * squares - likelihood, slope.ravel()

    found = minimize(
        loss_and_slope,
        np.zeros(shape).ravel() if start is None else start.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MOST_STEPS, "gtol": LEAST_SLOPE, "ftol": LEAST_PROGRESS},
    )
    return Probe(centre, scale, found.x.reshape(shape))


def write_probes(path: Path, found: CrossValidated) -> None:
    """Writes probes to a .npz file, all of it or nothing."""
    with written_aside(path) as aside, open(aside, "wb") as file:
        np.savez(
            file,
            centres=np.stack([probe.centre for probe in found.probes]),
            scales=[probe.scale for probe in found.probes],
            weights=np.stack([probe.weights for probe in found.probes]),
            held_out_ranks=found.held_out_ranks,
            penalty=found.penalty,
        )


def read_probes(
    path: Path, features: np.ndarray, num_classes: int
) -> CrossValidated | None:
    """Reads the probes for features; None if there is no file that would do."""
    try:
        with open(path, "rb") as file, np.load(file) as stored:
            arrays = {name: stored[name] for name in stored.files}
        probes = tuple(
            Probe(centre, float(scale), weights)
            for centre, scale, weights in zip(
                arrays["centres"], arrays["scales"], arrays["weights"], strict=True
            )
        )
        found = CrossValidated(
            probes, arrays["held_out_ranks"], float(arrays["penalty"])
        )
        shape = (NUM_FOLDS, num_classes, features.shape[1] + 1)
        fits = arrays["weights"].shape == shape
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    return found if fits and len(found.held_out_ranks) == len(features) else None
