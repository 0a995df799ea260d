"""How near images are to one target: by their pixels, and by features at each place.

Unlike the distances of sets in this room, these compare two pictures place by place,
and can be differentiated: what a projection into latent space makes small.
"""

from pathlib import Path

import keras
from keras import ops

from metrics.extractor import float32_policy
from metrics.features import mobilenetv2_of

SMALLEST_LEVEL = 4  # pixels, below which a level says nothing but the mean colour
FEATURE_PIXELS = 128  # images are enlarged to it, so that small ones have features
# Ends of stages at a half to a sixteenth of the side: edges, textures, parts.
FEATURE_LAYERS = (
    "block_1_expand_relu",
    "block_3_expand_relu",
    "block_6_expand_relu",
    "block_13_expand_relu",
)
EPSILON = 1e-8


def pyramid_distance(
    images: keras.KerasTensor, targets: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the distance of Laplacian pyramids, the same weight for every scale.

    With L_j the j-th band of the pyramid, the mean over j of mean|L_j(x) - L_j(y)|, as
    Lap1 in arXiv:1707.05776 but averaged, not summed. A distance of pixels alone finds
    blurred pictures near; here edges count as much as colours.

    Args:
        images: float32 [batch, size, size, 3] in [-1, 1]; size is a power of 2.
        targets: the same, or with a batch of 1.

    Returns:
        float32 [batch] in [0, 2]; 0 for equal images.
    """
    level = images - targets  # the pyramid of a difference is that of its terms
    bands = []
    while level.shape[1] > SMALLEST_LEVEL:
        coarse = ops.average_pool(level, 2, 2)
        enlarged = ops.repeat(ops.repeat(coarse, 2, axis=1), 2, axis=2)
        bands.append(ops.mean(ops.abs(level - enlarged), (1, 2, 3)))
        level = coarse
    bands.append(ops.mean(ops.abs(level), (1, 2, 3)))
    return ops.mean(ops.stack(bands), 0)


class FeatureDistance:
    """The distance of MobileNetV2's features at each place of two pictures.

    As LPIPS (arXiv:1801.03924, equation 1) without its learnt weights: features are
    scaled to length 1 over the channels, and their squared differences averaged over
    places and layers.
    """

    def __init__(self, weights: str | Path) -> None:
        """Loads the network.

        Raises:
            FeaturesError: If the file does not hold its weights.
        """
        with float32_policy():
            network = mobilenetv2_of(weights, FEATURE_PIXELS).network
            outputs = [network.get_layer(name).output for name in FEATURE_LAYERS]
            self._network = keras.Model(network.input, outputs)

    def __call__(
        self, images: keras.KerasTensor, targets: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Returns float32 [batch] in [0, 4], of images as in `pyramid_distance`."""
        distances = [
            ops.mean(ops.sum(ops.square(one - other), -1), (1, 2))
            for one, other in zip(
                self._features(images), self._features(targets), strict=True
            )
        ]
        return ops.mean(ops.stack(distances), 0)

    def _features(self, images: keras.KerasTensor) -> list[keras.KerasTensor]:
        size = (FEATURE_PIXELS, FEATURE_PIXELS)
        resized = ops.image.resize(images, size, interpolation="bilinear")
        found = self._network(resized, training=False)
        return [
            features / ops.sqrt(ops.sum(ops.square(features), -1, True) + EPSILON)
            for features in found
        ]
