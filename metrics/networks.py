"""The feature networks that can be named, and what goes with each; without Keras."""

from typing import NamedTuple


class FeatureNetwork(NamedTuple):
    """What there is to know of a feature network before it is loaded.

    Attributes:
        frechet: What its Frechet distance is called.
        kernel: What its kernel distance is called.
        needs_weights: Whether the user has to give the file of its weights.
        resizes: The ways in which images may get its size (`extractor.resized`).
    """

    frechet: str
    kernel: str
    needs_weights: bool = False
    resizes: tuple[str, ...] = ("clean",)


# Only the distances of the network of 2015 are FID (arXiv:1706.08500) and KID
# (arXiv:1801.01401).
FEATURE_NETWORKS = {
    "inception-fid": FeatureNetwork("fid", "kid", resizes=("clean", "legacy")),
    "inception-keras-75": FeatureNetwork(
        "fd_inception_keras_75", "kd_inception_keras_75"
    ),
    "inception-keras-299": FeatureNetwork(
        "fd_inception_keras_299", "kd_inception_keras_299"
    ),
    "mobilenetv2": FeatureNetwork(
        "fd_mobilenetv2", "kd_mobilenetv2", needs_weights=True
    ),
    "random": FeatureNetwork("fd_random", "kd_random"),
}
