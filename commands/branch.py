"""Starts a new run from another run's state."""

import keras
import numpy as np

from commands.start import Parent
from models.blocks import CLASS_EMBEDDING
from records.longer_average import with_average
from settings.config import Config
from settings.messages import Problem
from settings.optimizer import NETWORKS, Network
from training.state import State, state_variables
from training.variables import field_variables


def take_over(state: State, config: Config, parent: Parent) -> str:
    """Copies what fits from the parent's state into a new run's; returns a summary.

    Weights are matched by layer, so that networks for larger images inherit all stages
    they share. A network's moments are copied only if all of them fit and the optimizer
    has the same name. Counts, augmentation probability and iterations start afresh.

    Args:
        state: The new run's, at iteration 0; changed in place.
        config: The new run's.
        parent: What to start from.

    Raises:
        Problem: If no kernel of the generator fits.
    """
    given = {unnumbered(name): array for name, array in parent.arrays.items()}
    given |= embeddings_of(parent, config)
    taken = {network: 0 for network in (*NETWORKS, "ema_generator")}
    totals, num_kernels = dict(taken), 0
    for name, variable in state_variables(state).items():
        network = name.split("/")[0]
        if network in taken:
            totals[network] += 1
            array = given.get(unnumbered(name))
            if array is not None and array.shape == tuple(variable.shape):
                variable.assign(array)
                taken[network] += 1
                num_kernels += network == "generator" and array.ndim > 1
    if not num_kernels:  # the bias of the RGB output fits every generator
        raise Problem(
            f"--from {parent.requested}: none of its weights fit this config\n"
            "  expected: the same model.base_channels and model.max_channels, or at "
            "least some stages of the same shape"
        )
    known = len(same_classes(parent, config))
    words = [f"{known} of {config.model.num_classes} classes"] if known else []
    words += [f"{taken[n]} of {totals[n]} arrays of the {n}" for n in NETWORKS]
    moments = [take_moments(state, config, parent, network) for network in NETWORKS]
    start = with_average(
        f"{parent.run} at iteration {parent.iteration}", parent.average
    )
    return f"starts from {start}: " + ", ".join(words + moments)


def take_moments(state: State, config: Config, parent: Parent, network: Network) -> str:
    """Copies one optimizer's moments if all fit; returns a summary."""
    optimizer: keras.optimizers.Optimizer = getattr(state, f"{network}_optimizer")
    field = f"{network}_optimizer"
    given = {unnumbered(name): array for name, array in parent.arrays.items()}
    own = {unnumbered(n): v for n, v in field_variables(field, optimizer).items()}
    same_name = config.model.classes == parent.config.model.classes and (
        config.optimizer.for_network(network).name
        == parent.config.optimizer.for_network(network).name
    )
    fits = all(
        name in given and given[name].shape == tuple(variable.shape)
        for name, variable in own.items()
    )
    if not same_name or not fits:
        return f"fresh moments of the {network}"
    for name, variable in own.items():
        variable.assign(given[name])
    return f"the {network}'s moments"


def same_classes(parent: Parent, config: Config) -> dict[int, int]:
    """Returns the labels of the classes that both know: the new run's, the parent's."""
    if not (parent.config.model.conditional and config.model.conditional):
        return {}
    known = {
        name: label for label, name in enumerate(parent.config.model.classes or ())
    }
    names = config.model.classes or ()
    return {new: known[name] for new, name in enumerate(names) if name in known}


def embeddings_of(parent: Parent, config: Config) -> dict[str, np.ndarray]:
    """Returns the parent's embeddings for the new run's classes, by unnumbered name.

    A class that the parent did not know starts as the mean of those that it did.
    """
    pairs, found = same_classes(parent, config), {}
    networks = (*NETWORKS, "ema_generator")
    for name, array in parent.arrays.items():
        if CLASS_EMBEDDING in name and name.split("/")[0] in networks:
            mean = array.mean(0, keepdims=True)
            rows = np.repeat(mean, config.model.num_classes, 0)
            rows[list(pairs)] = array[list(pairs.values())]
            found[unnumbered(name)] = rows
    return found


def unnumbered(name: str) -> str:
    """Returns a variable's name without its index: "generator/dense.kernel"."""
    field, slash, rest = name.partition("/")
    return field + slash + rest.partition("-")[2]
