"""This program's own iteration, as training/loop.py calls it: draws, step, scalars.

Without what happens between iterations (rows, grids, checkpoints, pages), which no
contestant does.
"""

import importlib.metadata
import os
import pathlib

from benchmarks.rivals.contestants import Ready, random_images, random_labels
from commands.quiet import ONEDNN, import_tensorflow
from settings.config import Config


def build(config: Config, changes: dict[str, dict] | None = None) -> Ready:
    """Builds the config's pair and step, on noise in place of photographs.

    Args:
        config: Its `auto` are resolved here.
        changes: Of its keys, by section.
    """
    import_tensorflow()
    from data import ImageSet
    from data.classes import Classes
    from models.blocks import CLASS_EMBEDDING
    from training.build import build_state, build_step
    from training.device import configure_tensorflow, find_device, resolved_runtime
    from training.inputs import inputs_at

    device = find_device(config.runtime.device)
    runtime = resolved_runtime(config.runtime, device)
    configure_tensorflow(runtime, device)
    config = config.model_copy(update={"runtime": runtime})
    sections = {
        name: getattr(config, name).model_copy(update=keys)
        for name, keys in (changes or {}).items()
    }
    config = config.model_copy(update=sections)
    names = config.model.classes
    images = ImageSet(
        random_images(config.data.image_size),
        "none",
        pathlib.Path(),
        classes=Classes(names, random_labels(len(names))) if names else None,
    )
    state = build_state(config)
    step = build_step(config, state)

    def iterate(with_penalty: bool) -> float:
        inputs = inputs_at(config, images, state.rollbacks, state.iteration)
        scalars = step(inputs, with_penalty)
        state.iteration += 1
        return {name: float(value) for name, value in scalars.items()}["loss/generator"]

    onednn = os.environ.get(ONEDNN, "left to TensorFlow")
    batch = config.training.generator_batch
    told = f"{len(names)} classes, " if names else ""
    return Ready(
        iterate,
        sum(
            layer.count_params()
            for network in (state.generator, state.discriminator)
            for layer in network.layers
            if layer.name != CLASS_EMBEDDING
        ),
        f"{runtime.precision}, {runtime.compile}, {batch} batch, {told}"
        f"{ONEDNN} {onednn}",
        {"tensorflow": importlib.metadata.version("tensorflow")},
    )
