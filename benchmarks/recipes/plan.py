"""What is to be run: settings, their runs, and where these are measured."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Mark:
    """Where a run is measured.

    Attributes:
        unit: "iterations" or "minutes" of training.
        amount: Above 0.
    """

    unit: str
    amount: float

    def __str__(self) -> str:
        """Returns it in words, as rows have it."""
        amount = int(self.amount) if self.amount == int(self.amount) else self.amount
        return f"{amount} {self.unit}"


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to train.

    Attributes:
        name: Of the setting; part of its runs' names.
        reason: Why it is tried.
        config: Path of the config file.
        overrides: Keys of the config, and their values as text.
        seeds: Of its runs.
        marks: Where its runs are measured; they end when all are.
        extractor: Network whose features are compared.
        num_images: Images generated for a measurement.
        parent: Path of the weights file that its runs start from, or "".
        recipe: Keys of the resulting config that are not its defaults, by section, but
            for those that a run may change; empty until the config is loaded.
        start: The parent in words, with its hash; "" until then.
    """

    name: str
    reason: str
    config: str
    overrides: dict[str, str]
    seeds: tuple[int, ...]
    marks: tuple[Mark, ...]
    extractor: str
    num_images: int
    parent: str = ""
    recipe: dict[str, Any] = dataclasses.field(default_factory=dict)
    start: str = ""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of a setting; `name` is its run.name."""

    name: str
    setting: Setting
    seed: int


@dataclasses.dataclass(frozen=True)
class Queue:
    """All settings of a queue file, whose name without .yaml is `name`."""

    name: str
    settings: tuple[Setting, ...]

    def trials(self) -> list[Trial]:
        """Returns the runs in order: every setting's first seed, then the second."""
        most = max(len(setting.seeds) for setting in self.settings)
        return [
            Trial(f"{self.name}-{one.name}-seed{one.seeds[turn]}", one, one.seeds[turn])
            for turn in range(most)
            for one in self.settings
            if turn < len(one.seeds)
        ]
