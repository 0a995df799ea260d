"""Measures how far a run's pictures are from its photographs, in MobileNetV2 features.

    .venv/bin/python benchmarks/kernel_distance.py flowers-64 --weights WEIGHTS.h5

The features are the pooled ones of keras.applications.MobileNetV2 at 224 px (bicubic,
antialiased, (RGB - 128) / 128); WEIGHTS.h5 holds ImageNet weights for it without the
classifier. kd_mobilenetv2 is the mean of the unbiased squared maximum mean discrepancy
with the kernel (x . y / d + 1)^3 (KID, arXiv:1801.01401) over 50 subsets of 1,000,
fd_mobilenetv2 the Frechet distance (arXiv:1706.08500). Neither is FID: the network is
another. The floor is what one half of the photographs scores against the other.
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from training.chosen import choose_checkpoint, find_run  # noqa: E402 (the line above)
from training.quiet import import_tensorflow  # noqa: E402

NUM_SUBSETS, SUBSET_SIZE, BATCH_SIZE = 50, 1000, 64
FEATURE_SIZE = 224


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the mean unbiased distance over random subsets of [count, d] features."""
    draw = np.random.RandomState(0)
    distances = []
    for _ in range(NUM_SUBSETS):
        x = first[draw.choice(len(first), SUBSET_SIZE, replace=False)]
        y = second[draw.choice(len(second), SUBSET_SIZE, replace=False)]
        xx, yy, xy = (
            (a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))
        )
        pairs = SUBSET_SIZE * (SUBSET_SIZE - 1)
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / pairs
        distances.append(within - 2 * xy.mean())
    return float(np.mean(distances))


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Returns |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) by eigenvalues."""
    covariances = np.cov(first.T), np.cov(second.T)
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariances[1] @ root)
    shift = np.square(first.mean(0) - second.mean(0)).sum()
    spread = np.trace(covariances[0] + covariances[1])
    return float(shift + spread - 2 * np.sqrt(np.maximum(product, 0)).sum())


def build_features(weights: str) -> object:
    """Returns a function from uint8 [count, size, size, 3] to float64 features."""
    import keras
    import tensorflow as tf

    side = (FEATURE_SIZE, FEATURE_SIZE)
    network = keras.applications.MobileNetV2(
        weights=None, include_top=False, pooling="avg", input_shape=(*side, 3)
    )
    network.load_weights(weights)

    @tf.function
    def features(images: tf.Tensor) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        images = tf.image.resize(images, side, method="bicubic", antialias=True)
        return network((tf.clip_by_value(images, 0.0, 255.0) - 128) / 128)

    def all_features(images: np.ndarray) -> np.ndarray:
        parts = range(0, len(images), BATCH_SIZE)
        batches = [features(tf.constant(images[i : i + BATCH_SIZE])) for i in parts]
        return np.concatenate(batches).astype(np.float64)

    return all_features


def main() -> None:
    """Measures each checkpoint asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--checkpoints", nargs="+", default=["latest"])
    parser.add_argument("--num_images", type=int, default=5000)
    arguments = parser.parse_args()
    run = find_run(arguments.run)
    import_tensorflow()
    from training.generation import generated_latents, load_ema_generator
    from training.pictures import Painter
    from training.session import load_images

    features = build_features(arguments.weights)
    real = None
    for wanted in arguments.checkpoints:
        chosen = choose_checkpoint(run, wanted, print)
        if real is None:
            real = features(load_images(chosen.config, print).images)
            half = np.random.RandomState(1).permutation(len(real))
            halves = real[half[::2]], real[half[1::2]]
            print(
                f"floor, {len(halves[0])} photographs against the others: "
                f"fd {frechet_distance(*halves):.1f} kd {kernel_distance(*halves):.4f}"
            )
        painter = Painter(load_ema_generator(chosen))
        latent_dim = chosen.config.model.latent_dim
        latents = generated_latents(0, arguments.num_images, latent_dim, None)
        fake = features(painter.images_of(latents))
        print(
            f"{run.name} at {chosen.iteration}, {len(fake)} against {len(real)}: "
            f"fd_mobilenetv2 {frechet_distance(fake, real):.1f} "
            f"kd_mobilenetv2 {kernel_distance(fake, real):.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
