"""The pieces of an iteration, each a function that can be timed alone.

They call what training calls, compiled as training is; those that go through all
weights are in step_weights.py. step_parts.py makes the parts of the table from their
times.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from benchmarks.rivals.contestants import random_images
from benchmarks.step_ceiling import ceiling_pieces
from benchmarks.step_weights import (
    average,
    update,
    update_that_can_be_undone,
    vitals,
)
from benchmarks.turns import Action
from commands.start import Start
from commands.train import write_beginning
from data import ImageSet
from data.augment import augment
from records.page import write_pages
from records.run_folder import RunFolder, only_writer
from records.sessions import Sessions
from settings.config import Config
from settings.optimizer import Network
from training.build import build_state, build_step
from training.device import Device
from training.inputs import Inputs, UpdateInputs, inputs_at, penalty_share
from training.ledger import Ledger
from training.output import Output, row_of
from training.protection import Protection
from training.recipe import build_recipe
from training.step import (
    discriminator_gradients,
    generated,
    generator_gradients,
    logits_of_reals,
    real_images,
)

NUM_ROWS = 1000  # of scalars.jsonl, which the page draws
USUAL_SECONDS = 1.0  # in a row of scalars, for the speed


class Bench:
    """A run on noise in the working directory, and what its pieces start from.

    Attributes:
        config: With every `auto` resolved.
        images: Noise in place of photographs.
        state: Trained by the whole iterations only.
        recipe: The constants of the step.
        inputs: Of the first iteration.
        gradients: Of both networks, for the optimizers.
        step: The compiled step.
        run: The folders of the run.
        output: Writes its files.
        ledger: Looks for spikes in the scalars.
        protection: Looks for divergence in them.
    """

    def __init__(self, config: Config, device: Device) -> None:
        """Builds the pair and begins the run; the config's `auto` are resolved."""
        size = config.data.image_size
        self.config = config
        self.images = ImageSet(random_images(size), "none", pathlib.Path())
        self.state = build_state(config)
        self.recipe = build_recipe(config)
        self.inputs = inputs_at(config, self.images, 0, 0)
        self.step = build_step(config, self.state)
        self.gradients = {
            "discriminator": gradients_of_discriminator(self, False)(),
            "generator": gradients_of_generator(self)(),
        }
        self._begin(device)

    def _begin(self, device: Device) -> None:
        self.run = run = RunFolder(self.config.run.name)
        with only_writer(run) as writer:
            start = Start(run, self.config)
            write_beginning(start, self.config, self.images, device, writer)
        sessions = Sessions(run.sessions, 0, device.name, "none", None)
        self.output = Output(self.config, run, self.state, self.images, sessions)
        self.ledger = Ledger(self.state, [])
        self.protection = Protection(self.config, run, self.state, self.output)

    def network(self, network: Network) -> keras.Model:
        """Returns the generator or the discriminator."""
        return getattr(self.state, network)

    def compiled(self, function: Callable) -> Callable:
        """Compiles a function as the step is."""
        is_xla = self.config.runtime.compile == "xla"
        return tf.function(function, autograph=False, jit_compile=is_xla)

    def compiled_update(self, function: Callable) -> Callable:
        """Compiles a function as the step's updates of the weights are."""
        is_xla = self.config.runtime.compile in ("xla", "xla_update")
        return tf.function(function, autograph=False, jit_compile=is_xla)


def gradients_of_discriminator(bench: Bench, with_penalty: bool) -> Action:
    """Returns the discriminator's update up to its gradients."""

    def gradients(inputs: Inputs) -> list[tf.Tensor]:
        fake, _ = generated(bench.state, bench.recipe, inputs.discriminator)
        return discriminator_gradients(
            bench.state, bench.recipe, inputs, fake, with_penalty
        )[0]

    run = bench.compiled(gradients)
    return lambda: run(bench.inputs)


def gradients_of_generator(bench: Bench) -> Action:
    """Returns the generator's update up to its gradients."""

    def gradients(inputs: UpdateInputs) -> list[tf.Tensor]:
        fake, tape = generated(bench.state, bench.recipe, inputs)
        if bench.recipe.shares_batch:
            on_real = tf.zeros(fake.shape[0])
        else:
            on_real = logits_of_reals(bench.state, bench.recipe, inputs)
        return generator_gradients(
            bench.state, bench.recipe, inputs, fake, tape, on_real
        )[0]

    run = bench.compiled(gradients)
    return lambda: run(bench.inputs.generator)


def drawn(bench: Bench) -> Action:
    """Returns the photographs and noise of an iteration, a new one each time."""
    positions = iter(range(10**9))
    return lambda: inputs_at(bench.config, bench.images, 0, next(positions))


def generator_forward(bench: Bench) -> Action:
    """Returns one batch of generated images."""
    run = bench.compiled(lambda latents: bench.state.generator(latents, training=True))
    return lambda: run(bench.inputs.generator.latents)


def discriminator_forward(bench: Bench, num_batches: int) -> Action:
    """Returns the logits of some batches at once."""
    images = tf.concat([real_images(bench.inputs.discriminator)] * num_batches, 0)
    network = bench.state.discriminator
    run = bench.compiled(lambda images: network(images, training=True))
    return lambda: run(images)


def augmented(bench: Bench) -> Action:
    """Returns mirrored photographs and generated images, a batch each, augmented."""
    operations, probability = bench.recipe.operations, bench.state.augment_probability
    fake = real_images(bench.inputs.generator)

    def both(inputs: Any, fake: tf.Tensor) -> list[tf.Tensor]:
        real = real_images(inputs)
        return [
            augment(real, inputs.real_uniforms, probability, operations),
            augment(fake, inputs.fake_uniforms, probability, operations),
        ]

    run = bench.compiled(both)
    return lambda: run(bench.inputs.discriminator, fake)


def note(bench: Bench, scalars: dict[str, tf.Tensor]) -> dict[str, float]:
    """Does what the loop does with the scalars of an iteration; returns its row."""
    found = {name: float(value) for name, value in scalars.items()}
    spikes = [r for r in bench.ledger.rows_of(found) if "largest_finite" in r]
    bench.protection.note(found, None)
    return row_of(bench.config, bench.state, found, USUAL_SECONDS, spikes)


def in_another(bench: Bench, write: Action) -> None:
    """Writes something in another iteration."""
    bench.state.iteration += 1
    write()


def whole_iteration(bench: Bench, with_penalty: bool) -> Action:
    """Returns an iteration as the loop does it, but for what is not due every time."""

    def iterate() -> None:
        state = bench.state
        inputs = inputs_at(bench.config, bench.images, state.rollbacks, state.iteration)
        scalars = bench.step(inputs, with_penalty)
        state.iteration += 1
        note(bench, scalars)

    return iterate


def pieces_of(bench: Bench) -> dict[str, Action]:
    """Returns all that is timed, by name."""
    scalars = bench.step(bench.inputs, False)
    bench.state.iteration += 1
    row = note(bench, scalars)

    def write_row() -> None:
        bench.output.write_scalars(row)

    for _ in range(NUM_ROWS):
        in_another(bench, write_row)
    write_pages(bench.run)  # output.write_pages would pass over an error
    pieces = {
        "inputs": drawn(bench),
        "generator": generator_forward(bench),
        "discriminator, one batch": discriminator_forward(bench, 1),
        "discriminator, two batches": discriminator_forward(bench, 2),
        "augmentation": augmented(bench),
        "discriminator's gradients": gradients_of_discriminator(bench, False),
        "generator's gradients": gradients_of_generator(bench),
        "discriminator's update": update(bench, "discriminator", True),
        "generator's update": update(bench, "generator", True),
        "discriminator's undamped update": update(bench, "discriminator", False),
        "generator's undamped update": update(bench, "generator", False),
        "discriminator's update, copy kept": update_that_can_be_undone(bench),
        "vitals": vitals(bench),
        "average": average(bench),
        "telemetry": lambda: note(bench, scalars),
        "row": lambda: in_another(bench, write_row),
        "page": bench.output.write_pages,
        "grid": bench.output.write_grid,
        "checkpoint": lambda: in_another(bench, bench.output.save),
        "iteration": whole_iteration(bench, False),
    }
    if penalty_share(bench.config):
        with_penalty = gradients_of_discriminator(bench, True)
        pieces["discriminator's gradients, penalty"] = with_penalty
        pieces["iteration, penalty"] = whole_iteration(bench, True)
    waiting = {name: waited_for(piece) for name, piece in pieces.items()}
    return waiting | ceiling_pieces(bench.config)


def waited_for(action: Action) -> Action:
    """Returns an action that also fetches the smallest tensor that it computed.

    A GPU still computes when a call returns.
    """

    def run() -> None:
        found = [t for t in tf.nest.flatten(action()) if tf.is_tensor(t)]
        if found:
            min(found, key=lambda tensor: tensor.shape.num_elements()).numpy()

    return run
