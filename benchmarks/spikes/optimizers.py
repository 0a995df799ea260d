"""Optimizers and protections as rules in NumPy, for many runs side by side.

A rule takes (gradient, state, step) and returns (gradient, state). What the last rule
of a method returns is the direction, and weights -= learning_rate * direction.

gradient   float32 [runs, weights]
state      a dict of arrays, empty at the start; a rule returns the next, changes none
step       a `Step`: what else a rule may look at

Adam and its kin stay in float32, since their overflow is part of what is measured.
Norms are taken in float64, so that no rival loses because a sum overflows.
"""

import dataclasses

import numpy as np

# Of every Adam here: so small that the scale of the loss does not matter.
EPSILON = np.float32(1e-30)
MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the variables lie in a row of weights, and their units (rows, for AGC)."""

    variable_sizes: np.ndarray
    unit_sizes: np.ndarray

    def over(self, sizes: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Returns the sums of values [runs, weights] over consecutive pieces."""
        starts = np.cumsum(sizes) - sizes
        return np.add.reduceat(values, starts, axis=1)


@dataclasses.dataclass(frozen=True)
class Step:
    """One step: its number, from 1, weights [runs, weights], threshold [runs, 1]."""

    number: int
    weights: np.ndarray
    threshold: np.ndarray
    layout: Layout


def norms(values: np.ndarray, sizes: np.ndarray, layout: Layout) -> np.ndarray:
    """Returns the norm of the piece that each weight is in, float64 [runs, weights]."""
    squares = np.square(values.astype(np.float64))
    return np.repeat(np.sqrt(layout.over(sizes, squares)), sizes, axis=1)


def limited(gradient: np.ndarray, norm: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Returns the gradient, shortened where its norm is above the largest allowed."""
    factor = np.where(norm > largest, largest / np.maximum(norm, 1e-300), 1.0)
    return (gradient * factor).astype(np.float32)


def clip_value(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """max(-c, min(g, c)), each element. arXiv:1211.5063, section 3.2, footnote."""
    return np.clip(gradient, -step.threshold, step.threshold), state


def clip_norm(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """g min(1, c / |g|) with the norm of each variable (Keras' clipnorm)."""
    norm = norms(gradient, step.layout.variable_sizes, step.layout)
    return limited(gradient, norm, step.threshold), state


def clip_global_norm(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """g min(1, c / |g|), the norm over all variables. arXiv:1211.5063, algorithm 1."""
    norm = np.linalg.norm(gradient.astype(np.float64), axis=1, keepdims=True)
    return limited(gradient, norm, step.threshold), state


def clip_unit_norm(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """AGC: |g| <= c max(|w|, 1e-3), norms of one unit. arXiv:2102.06171, 4.1."""
    sizes = step.layout.unit_sizes
    largest = np.maximum(norms(step.weights, sizes, step.layout), 1e-3)
    norm = norms(gradient, sizes, step.layout)
    return limited(gradient, norm, step.threshold * largest), state


def clip_z_score(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """ZClip: |g| above c sigmas becomes mean + c^2 sigma / z. arXiv:2504.02507, 3.

    z = (|g| - mean) / sigma; mean and variance of the global norm are averages with
    beta 0.97 of what passed, starting from those of the first 25 steps.
    """
    beta, first_steps = 0.97, 25
    norm = np.linalg.norm(gradient.astype(np.float64), axis=1, keepdims=True)
    if step.number <= first_steps:
        seen = [*state.get("norms", []), norm]
        mean, variance = np.mean(seen, axis=0), np.var(seen, axis=0)
        return gradient, {**state, "norms": seen, "mean": mean, "variance": variance}
    mean, sigma = state["mean"], np.sqrt(state["variance"])
    z = (norm - mean) / np.maximum(sigma, 1e-300)
    largest = mean + step.threshold**2 * sigma / np.maximum(z, 1e-300)
    passed = np.where(z > step.threshold, largest, norm)
    gradient = limited(gradient, norm, passed)
    mean = beta * mean + (1 - beta) * passed
    variance = beta * state["variance"] + (1 - beta) * np.square(passed - mean)
    return gradient, {**state, "mean": mean, "variance": variance}


def clip_sigmas(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """AdamWClip: |g| <= c sqrt(v), with v of beta_2 0.999 from the steps before.

    Formula of the package adamw-clip (PyPI: AdamWClip), applied before Adam.
    """
    if step.number == 1:
        return gradient, state
    v = state["v"] / np.float32(1 - 0.999 ** (step.number - 1))
    largest = step.threshold * np.sqrt(v)
    return np.clip(gradient, -largest, largest), state


def damp(gradient: np.ndarray, knee: np.ndarray | float) -> np.ndarray:
    """Returns knee sign(g) log(1 + |g| / knee), as `optim.damp` does."""
    magnitude, knee = np.abs(gradient), np.asarray(knee, np.float32)
    quotient = magnitude / knee
    logarithm = np.log1p(quotient)
    overflowed = np.isinf(quotient)
    if overflowed.any():
        far = np.log(np.maximum(magnitude, np.float32(1))) - np.log(knee)
        logarithm = np.where(overflowed, far, logarithm)
    return np.sign(gradient) * knee * logarithm


def damp_at(knee: float | None, gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """Log damping with a fixed knee, the article's at 1; None: the threshold."""
    return damp(gradient, step.threshold if knee is None else knee), state


def usual_sizes(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """Returns s, r, whether r is known, all [runs, variables], and the state after.

    s is the mean of |g| over a variable's elements that are not 0, r its running
    geometric mean so far, beta 0.99. A missing s is taken to be r, a missing r to be s.
    """
    sizes, over = step.layout.variable_sizes, step.layout.over
    magnitude = np.abs(gradient)
    count = np.maximum(over(sizes, (gradient != 0).astype(np.float32)), 1)
    size = over(sizes, magnitude / np.repeat(count, sizes, axis=1))
    usual = state.get("usual_size", np.zeros_like(size))
    seen, known = (size > 0) & np.isfinite(size), usual > 0
    size = np.where(seen, size, np.where(known, usual, np.float32(1)))
    reference = np.where(known, usual, size)
    log_ratio = np.log(size) - np.log(reference)
    weight = np.float32(max(0.01, 1 / step.number))
    moved = np.where(seen, reference * np.exp(weight * log_ratio), usual)
    return size, reference, known, {**state, "usual_size": moved}


def damp_adaptively(
    gradient: np.ndarray,
    state: dict,
    step: Step,
    knee: float = 3.0,
    shrinks: bool = True,
) -> tuple:
    """Log damping with a knee that follows each variable's usual gradient.

    knee = 3 r / log(1 + max(1, s / (3 r))), s and r being those of `usual_sizes`. The
    first gradient sets r and moves nothing. `shrinks` False: the knee is 3 r / log(2).
    """
    sizes = step.layout.variable_sizes
    size, reference, known, state = usual_sizes(gradient, state, step)
    log_ratio = np.log(size) - np.log(reference)
    above = np.maximum(log_ratio - np.float32(np.log(knee)), 0) if shrinks else 0
    level = np.float32(knee) * reference / np.logaddexp(np.float32(0), above)
    damped = damp(gradient, np.repeat(level, sizes, axis=1).astype(np.float32))
    return np.where(np.repeat(known, sizes, axis=1), damped, np.float32(0)), state


def clip_usual(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """g min(1, 3 r / s): what `damp_adaptively` does, without the logarithm."""
    sizes = step.layout.variable_sizes
    size, reference, known, state = usual_sizes(gradient, state, step)
    factor = np.minimum(np.float32(3) * (reference / size), np.float32(1))
    clipped = gradient * np.repeat(factor, sizes, axis=1)
    return np.where(np.repeat(known, sizes, axis=1), clipped, np.float32(0)), state


def adam(gradient: np.ndarray, state: dict, step: Step, beta_2: float = 0.999) -> tuple:
    """m / (sqrt(v) + epsilon), bias-corrected. arXiv:1412.6980, end of section 2.

    Where g^2 overflows, v is infinite from then on and the weight stands still; Keras
    writes v + (1 - b2) (g^2 - v), which makes it NaN. Either way it is lost.
    """
    b1, b2 = np.float32(MOMENTUM), np.float32(beta_2)
    m = b1 * state.get("m", 0) + (1 - b1) * gradient
    v = b2 * state.get("v", 0) + (1 - b2) * np.square(gradient)
    rate = np.sqrt(1 - beta_2**step.number) / (1 - MOMENTUM**step.number)
    return np.float32(rate) * m / (np.sqrt(v) + EPSILON), {**state, "m": m, "v": v}


def spam(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """SPAM: |g| <= sqrt(c v), moments reset every 500 steps. arXiv:2501.06842, 4.

    After each reset the rate rises along a cosine for 150 steps.
    """
    period, warm_up, beta_2 = 500, 150, 0.999
    age = (step.number - 1) % period + 1
    if age == 1:
        state = {**state, "m": np.float32(0), "v": np.float32(0)}
    else:
        largest = np.sqrt(step.threshold * state["v"])
        gradient = np.clip(gradient, -largest, largest)
    aged = dataclasses.replace(step, number=age)
    direction, state = adam(gradient, state, aged, beta_2)
    forgotten = step.number > period and age < warm_up
    rate = (1 - np.cos(np.pi * age / warm_up)) / 2 if forgotten else 1.0
    return np.float32(rate) * direction, state


def lion(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """sign(.9 m + .1 g), then m = .99 m + .01 g. arXiv:2302.06675, algorithm 2."""
    b1, b2 = np.float32(MOMENTUM), np.float32(0.99)
    m = state.get("m", np.float32(0))
    direction = np.sign(b1 * m + (1 - b1) * gradient)
    return direction, {**state, "m": b2 * m + (1 - b2) * gradient}


def sgd(gradient: np.ndarray, state: dict, step: Step) -> tuple:
    """u = .9 u + g (Polyak's heavy ball, as Keras writes it)."""
    velocity = np.float32(MOMENTUM) * state.get("u", 0) + gradient
    return velocity, {**state, "u": velocity}
