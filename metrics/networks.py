"""The names and properties of the feature networks; does not import Keras."""

from typing import NamedTuple


class FeatureNetwork(NamedTuple):
    """The properties of a feature network that are known before it is loaded.

    Attributes:
        frechet: Name of its Frechet distance.
        kernel: Name of its kernel distance.
        needs_weights: Whether the user must provide the file of its weights.
        resizes: The allowed ways to resize images (`extractor.resized`).
    """

    frechet: str
    kernel: str
    needs_weights: bool = False
    resizes: tuple[str, ...] = ("clean",)


def _named(name: str, needs_weights: bool = False) -> FeatureNetwork:
    suffix = name.replace("-", "_")
    return FeatureNetwork(f"fd_{suffix}", f"kd_{suffix}", needs_weights)


FEATURE_NETWORKS = {
    # Only this network's distances are FID (arXiv:1706.08500) and KID
    # (arXiv:1801.01401).
    "inception-fid": FeatureNetwork("fid", "kid", resizes=("clean", "legacy")),
    "inception-keras-75": _named("inception-keras-75"),
    "inception-keras-299": _named("inception-keras-299"),
    "mobilenetv2": _named("mobilenetv2", needs_weights=True),
    "random": _named("random"),
}
