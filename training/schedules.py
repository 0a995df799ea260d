"""Numbers that depend on the iteration alone: learning rate, averaging."""

import math


def ema_decay_at(
    iteration: int, batch_size: int, half_life_kimg: float, ramp_up: float | None
) -> float:
    """Returns the weight that the averaged generator keeps in one iteration.

    The half-life is in thousands of images, and no longer than `ramp_up` times the
    images seen so far (Karras et al., arXiv:2006.06676, their training loop).

    Args:
        iteration: Iterations done before, counted from 0.
        batch_size: Images an iteration.
        half_life_kimg: Thousands of images after which half of an average is new.
        ramp_up: Share of the images seen so far, or None for the full half-life.

    Returns:
        A number in [0, 1).
    """
    half_life = half_life_kimg * 1000
    if ramp_up is not None:
        half_life = min(half_life, iteration * batch_size * ramp_up)
    if half_life == 0:
        return 0.0
    return 0.5 ** (batch_size / half_life)


def learning_rate_at(
    iteration: int,
    learning_rate: float,
    schedule: str,
    schedule_iterations: int | None,
    final_learning_rate: float,
    warmup_iterations: int,
) -> float:
    """Returns the learning rate of one iteration (counted from 0).

    It rises in a line over the warm-up, then stays, or falls along half a cosine
    until `schedule_iterations` (arXiv:1608.03983, without restarts) and stays there.
    """
    if iteration < warmup_iterations:
        return learning_rate * (iteration + 1) / warmup_iterations
    if schedule == "constant":
        return learning_rate
    length = schedule_iterations - warmup_iterations
    progress = min((iteration - warmup_iterations) / length, 1.0)
    share = (1 + math.cos(math.pi * progress)) / 2
    return final_learning_rate + (learning_rate - final_learning_rate) * share
