"""The methods of the spike benchmark's GAN: config settings, and four tries each."""

import dataclasses

PRESET = {"beta_1": 0.0, "beta_2": 0.99}  # of every preset of this project
# Multiples of the problem's learning rate: four, or two for each of two thresholds.
RATES = (0.25, 0.5, 1.0, 2.0)
RATES_WITH_THRESHOLD = (0.5, 1.0)


@dataclasses.dataclass(frozen=True)
class GanMethod:
    """A name for the tables, keys of the config's optimizer section, what is tried.

    Attributes:
        name: As in methods.py where it is the same method.
        optimizer: Keys of the section, with their values.
        threshold_key: The key that the threshold sets.
        thresholds: The two to try; without any, four learning rates are tried.
        rule: Key of gan_optimizers.RULES, for an optimizer that no config can name; it
            takes the threshold and the arguments of Keras' Adam.
    """

    name: str
    optimizer: tuple[tuple[str, object], ...]
    threshold_key: str | None = None
    thresholds: tuple[float, ...] = ()
    rule: str | None = None

    def keys(self, learning_rate: float, threshold: float) -> dict[str, object]:
        """Returns the optimizer section for one try."""
        keys = {**PRESET, **dict(self.optimizer), "learning_rate": learning_rate}
        return keys | ({self.threshold_key: threshold} if self.threshold_key else {})

    def settings(self, problem: object) -> list[tuple[float, float]]:
        """Returns four (learning rate, threshold)."""
        if not self.thresholds:
            return [(problem.learning_rate * rate, 1.0) for rate in RATES]
        rates = [problem.learning_rate * rate for rate in RATES_WITH_THRESHOLD]
        return [(rate, limit) for rate in rates for limit in self.thresholds]


ADAM = (("name", "adam"),)


def log_adam(knee: float | str) -> tuple[tuple[str, object], ...]:
    """Returns the keys of LogAdam with one knee."""
    return (("name", "log_adam"), ("damping_scale", knee))


GAN_METHODS = (
    GanMethod("Adam .99", ADAM),
    GanMethod("Adam .9", (*ADAM, ("beta_2", 0.9))),
    GanMethod("Adam global_clipnorm", ADAM, "global_clipnorm", (1.0, 10.0)),
    GanMethod("Adam ZClip", ADAM, thresholds=(2.0, 3.0), rule="z_score"),
    GanMethod("Adam clip 3 r", ADAM, rule="usual_size"),
    GanMethod("LogAdam 1", log_adam(1.0)),
    GanMethod("LogAdam 1e-3", log_adam(1e-3)),
    GanMethod("LogAdam adaptive", log_adam("adaptive")),
)
QUICK_GAN_METHODS = (
    "Adam .99",
    "Adam global_clipnorm",
    "LogAdam 1",
    "LogAdam adaptive",
)
