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


def _named(name: str, needs_weights: bool = False) -> FeatureNetwork:
    suffix = name.replace("-", "_")
    return FeatureNetwork(f"fd_{suffix}", f"kd_{suffix}", needs_weights)


FEATURE_NETWORKS = {
    # Only the distances of the network of 2015 are FID (arXiv:1706.08500) and KID
    # (arXiv:1801.01401).
    "inception-fid": FeatureNetwork("fid", "kid", resizes=("clean", "legacy")),
    "inception-keras-75": _named("inception-keras-75"),
    "inception-keras-299": _named("inception-keras-299"),
    "mobilenetv2": _named("mobilenetv2", needs_weights=True),
    "random": _named("random"),
}
