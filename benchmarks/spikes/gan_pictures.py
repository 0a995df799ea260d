"""Draws what the GANs of the spike benchmark make, and scores them by other features.

    python -m benchmarks.spikes.gan_pictures [--weights MOBILENETV2.weights.h5]

For each method and row it shows pictures of seed 0, as tuned without spikes, from the
trainings in cache/spikes. Given the weights of keras.applications.MobileNetV2 (without
the classifier), it also writes kernel distances, which are unbiased however few
pictures were kept, and how well their ranking agrees with that of the score.
"""

import argparse
import dataclasses
import pathlib
import statistics

import numpy as np

from benchmarks.spikes.cells import RESULTS, read_cells
from benchmarks.spikes.gan import GAN_ROWS, Gan
from benchmarks.spikes.gan_methods import GAN_METHODS
from benchmarks.spikes.gan_runs import TRAININGS, Trainings
from benchmarks.spikes.report import table
from benchmarks.spikes.runs import Run
from commands.quiet import import_tensorflow

METHODS = {method.name: method for method in GAN_METHODS}
ROWS = {row.name: row for row in GAN_ROWS}
NUM_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Kept:
    """A cell, and its trainings as tuned without spikes, a file for each seed."""

    cell: dict
    paths: list[pathlib.Path]

    def pictures(self, seed: int) -> np.ndarray:
        """Returns uint8 [256, size, size, 3]."""
        with np.load(self.paths[seed]) as file:
            return file["pictures"]


def kept_trainings(cells: list[dict], problem: Gan, trainings: Trainings) -> list[Kept]:
    """Returns the cells whose trainings are all there."""
    found = []
    for cell in cells:
        paths = [
            trainings.path(problem, METHODS[cell["method"]], run)
            for run in runs_of(cell)
        ]
        if all(path.exists() for path in paths):
            found.append(Kept(cell, paths))
    return found


def runs_of(cell: dict) -> list[Run]:
    """Returns the runs of a cell, with exact settings: the cell has rounded ones."""
    chosen = [cell["clean"]["learning_rate"], cell["clean"]["threshold"]]
    tries = METHODS[cell["method"]].settings(Gan)
    exact = min(tries, key=lambda setting: np.abs(np.subtract(setting, chosen)).sum())
    num_seeds = len(cell["clean"]["scores"])
    return [Run(ROWS[cell["row"]], seed, *exact) for seed in range(num_seeds)]


def draw(kept: list[Kept], path: pathlib.Path) -> None:
    """Draws a line of pictures for each method, with a block for each row."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    methods = list(dict.fromkeys(k.cell["method"] for k in kept))
    size = (2.4 * len(ROWS) + 1, 0.42 * len(methods) + 0.3)
    figure, axes = pyplot.subplots(len(methods), len(ROWS), figsize=size, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for one in kept:
        line, block = (
            methods.index(one.cell["method"]),
            list(ROWS).index(one.cell["row"]),
        )
        axis = axes[line, block]
        axis.imshow(np.concatenate(one.pictures(0)[:NUM_SHOWN], axis=1))
        if line == 0:
            axis.set_title(one.cell["row"], fontsize=8)
        if block == 0:
            where = {"ha": "right", "va": "center", "transform": axis.transAxes}
            axis.text(-0.03, 0.5, one.cell["method"], fontsize=8, **where)
    figure.subplots_adjust(wspace=0.04, hspace=0.08)
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)


def kernel_distances(kept: list[Kept], problem: Gan, weights: str) -> list[list[float]]:
    """Returns the kernel distance of every training from flowers held out of it."""
    import_tensorflow()
    from benchmarks.spikes.gan_training import ANY, flowers_of, silent
    from metrics.features import load_extractor
    from metrics.kernel import kernel_distance

    extract = load_extractor("mobilenetv2", weights=weights, say=silent)
    flowers = flowers_of(problem.config(*ANY))
    real = extract(np.asarray(flowers[problem.num_images :]))
    size = min(len(real), len(kept[0].pictures(0)))

    def distance(one: Kept, seed: int) -> float:
        fake = extract(one.pictures(seed))
        return kernel_distance(fake, real, num_subsets=1, subset_size=size, seed=0).mean

    return [[distance(one, seed) for seed in range(len(one.paths))] for one in kept]


def write_distances(
    kept: list[Kept], found: list[list[float]], path: pathlib.Path
) -> None:
    """Writes the table of kernel distances, and the correlation of ranks."""
    from scipy import stats

    scores = [score for one in kept for score in one.cell["clean"]["scores"]]
    ranks = stats.spearmanr(scores, [d for seeds in found for d in seeds]).statistic
    cells = [{**k.cell, "found": f} for k, f in zip(kept, found, strict=True)]
    lines = [
        "# gan: kernel distance in features of MobileNetV2, median of the seeds",
        "256 pictures against flowers not trained on, tuned without spikes; lower is",
        f"better. Its ranks and those of the score correlate by {ranks:.2f} (Spearman,",
        f"{len(scores)} trainings).",
        *("", *table(cells, lambda c: f"{statistics.median(c[0]['found']):.3g}")),
    ]
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    """Draws the sheet and, with weights, writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", help="file of MobileNetV2's weights")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--trainings", type=pathlib.Path, default=TRAININGS)
    arguments = parser.parse_args()
    problem = Gan()
    cells = read_cells(arguments.out / "gan.jsonl")
    cells.sort(key=lambda cell: list(METHODS).index(cell["method"]))
    kept = kept_trainings(cells, problem, Trainings(arguments.trainings))
    draw(kept, arguments.out / "gan_pictures.png")
    if arguments.weights:
        found = kernel_distances(kept, problem, arguments.weights)
        write_distances(kept, found, arguments.out / "gan_kernel_distances.md")


if __name__ == "__main__":
    main()
