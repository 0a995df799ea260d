"""Draws docs/damping.png: the damping curve against y = x, and what of a spike passes.

    python docs/draw_damping.py

Needs what requirements-bench.txt lists.
"""

import pathlib

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402 (after the line above)

PICTURE = pathlib.Path(__file__).resolve().parent / "damping.png"
USUAL = 1e-3  # the usual gradient of the third panel


def damped(gradient: np.ndarray, knee: np.ndarray | float) -> np.ndarray:
    """Returns knee * log(1 + g / knee) for gradients above 0."""
    return knee * np.log1p(gradient / knee)


def adaptive_knee(gradient: np.ndarray) -> np.ndarray:
    """Returns the knee for a whole variable at these sizes (optim/adaptive_knee.py)."""
    return 3 * USUAL / np.log1p(np.maximum(1, gradient / (3 * USUAL)))


def draw() -> None:
    """Writes the picture."""
    figure, panels = pyplot.subplots(1, 3, figsize=(13, 4), dpi=100)
    linear, logarithmic, spike = panels
    gradient = np.linspace(0, 5, 500)
    linear.plot(gradient, gradient, "--", color="gray", label="y = x")
    linear.plot(gradient, damped(gradient, 1.0), label="knee 1, the article's")
    linear.set_title("linear axes")
    gradient = np.logspace(-6, 6, 500)
    logarithmic.loglog(gradient, gradient, "--", color="gray", label="y = x")
    for knee in (1.0, 1e-3):
        label = f"knee {knee:g}"
        (line,) = logarithmic.loglog(gradient, damped(gradient, knee), label=label)
        logarithmic.axvline(knee, color=line.get_color(), linewidth=0.6)
    logarithmic.set_title("logarithmic axes; lines: the knees")
    size = np.logspace(0, 20, 500)
    rules = {
        "y = x": size * USUAL,
        "knee 1": damped(size * USUAL, 1.0),
        "knee 1e-3": damped(size * USUAL, 1e-3),
        "adaptive": damped(size * USUAL, adaptive_knee(size * USUAL)),
    }
    for label, passed in rules.items():
        style = {"color": "gray", "linestyle": "--"} if label == "y = x" else {}
        spike.loglog(size, passed / USUAL, label=label, **style)
    spike.set_ylim(0.5, 1e5)
    spike.set_title(f"a spike, usual gradients being {USUAL:g}")
    for axes in (linear, logarithmic):
        axes.set_xlabel("gradient")
        axes.set_ylabel("what the optimizer gets")
    spike.set_xlabel("times the usual gradient")
    spike.set_ylabel("usual gradients that pass")
    for axes in panels:
        axes.legend()
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(PICTURE, metadata={"Software": None})


if __name__ == "__main__":
    draw()
