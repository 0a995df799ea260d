"""Defines the types of config keys: what each accepts, and how an error describes it.

Types are strict: `1e3` is not a whole number and `1` is not `true`, but text such as
`2e-4` is accepted as a number.
"""

import math
import os.path
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
)
from pydantic_core import PydanticCustomError

NUMBER = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*(?:_[0-9]+)*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
)
ADAPTIVE = "adaptive"  # optim's name for a knee that follows the gradients
LONGEST_TEXT = 4096  # characters; Linux takes no longer path
PAGE_OF_RUNS = "index.html"  # beside the folders of samples
LARGEST_SEED = 2**31 - 1  # within what keras.utils.set_random_seed accepts


@dataclass(frozen=True)
class Expected:
    """Describes what a type accepts, for errors about keys of that type."""

    text: str


def mistake(expected: str) -> PydanticCustomError:
    """Returns the error for a value that conflicts with others."""
    return PydanticCustomError("mistake", expected)


def _number_from_text(value: Any) -> Any:
    """Returns the number in text such as `2e-4`; other values unchanged."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    return value


def _no_lookalike(value: Any) -> Any:
    """Rejects 64.0 for 64, and 1 for true, which Python considers equal."""
    if isinstance(value, float) or (type(value) is int and value in (0, 1)):
        raise ValueError(f"Expected the value itself. Received: {value}")
    return value


def _no_nul(text: str) -> str:
    """Rejects the character that no path may have; YAML refuses it, --set does not."""
    if "\0" in text:
        raise ValueError("Expected text without the character 0.")
    return text


def _not_the_page(name: str) -> str:
    """Rejects the name of the page of all runs, whose place the run would take."""
    if name.lower() == PAGE_OF_RUNS:  # file systems may not tell a from A
        raise ValueError(f"Expected another name than {PAGE_OF_RUNS}.")
    return name


KNEE_EXPECTED = f"a number above 0, or {ADAPTIVE}"


def _knee(value: Any) -> float | str:
    """Validates a knee; a union would report one error for each of its types."""
    number = _number_from_text(value)
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if value != ADAPTIVE and not (is_number and 0 < number < math.inf):
        raise ValueError(f"Expected {KNEE_EXPECTED}. Received: {value!r}")
    return float(number) if is_number else value


def _whole(first: int, most: int) -> Any:
    expected = f"a whole number from {first} to {most:,}"
    return Annotated[int, Field(ge=first, le=most), Expected(expected)]


def _number(expected: str, **bounds: Any) -> Any:
    number = [Field(**bounds), BeforeValidator(_number_from_text), Expected(expected)]
    return Annotated[float, *number]


def _text(
    expected: str,
    pattern: str | None = None,
    check: Callable[[str], str] = _no_nul,
) -> Any:
    text = Field(min_length=1, max_length=LONGEST_TEXT, pattern=pattern)
    return Annotated[str, text, AfterValidator(check), Expected(expected)]


def _path(expected: str) -> Any:
    return Annotated[_text(expected), AfterValidator(os.path.expanduser)]


# Limits that nobody meets who means what he writes: from there on arithmetic overflows,
# or float32 cannot tell a number from 0 or 1.
MOST, MOST_RATE = 1_000_000_000, 1000
LEAST_POSITIVE, LARGEST_DECAY = 1e-30, 0.999999

Count = _whole(1, MOST)
CountOrZero = _whole(0, MOST)
Size = _whole(1, 65_536)  # of a batch, a layer or a latent
Layers = _whole(1, 1002)  # Keras, which goes from layer to layer, needs a stack for all
Images = _whole(1, 10_000_000)
Positive = _number("a number from 1e-30 to 1e9", ge=LEAST_POSITIVE, le=MOST)
NotNegative = _number("a number from 0 to 1e9", ge=0, le=MOST)
Rate = _number(f"a number from 0 to {MOST_RATE:,}", ge=0, le=MOST_RATE)
Decay = _number(f"a number from 0 to {LARGEST_DECAY}", ge=0, le=LARGEST_DECAY)
Probability = _number("a number from 0 to 1", ge=0, le=1)
Share = _number("a number between 0 and 1", gt=0, lt=1)
ShareOrAll = _number("a number above 0, at most 1", gt=0, le=1)
Knee = Annotated[
    Any,  # a float or "adaptive"
    PlainValidator(_knee),
    Expected(KNEE_EXPECTED),
]
FactorAboveOne = _number("a number above 1, at most 1e9", gt=1, le=MOST)
AnyFactor = _number("a number, .inf or .nan", allow_inf_nan=True)
Folder = _path("the path of a folder")
File = _path("the path of a file")
DataSet = _text("the name of a TFDS data set")
Splits = _text('splits as TFDS writes them, such as "train+test"')
Switch = Annotated[bool, Expected("true or false")]
RunName = _text(
    "1 to 64 letters, digits, dots, underscores and hyphens, not beginning with a dot, "
    f"and not {PAGE_OF_RUNS}",
    pattern="^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$",
    check=_not_the_page,
)
Seed = Annotated[
    int,
    Field(ge=0, le=LARGEST_SEED),
    Expected(f"a whole number from 0 to {LARGEST_SEED}"),
]
ImageSize = Annotated[Literal[32, 64, 128, 256, 512], BeforeValidator(_no_lookalike)]
AutoOrSwitch = Annotated[Literal["auto", True, False], BeforeValidator(_no_lookalike)]
Operation = Literal[
    "flip",
    "translation",
    "brightness",
    "saturation",
    "contrast",
    "cutout",
    "rotation",
]
Operations = Annotated[
    list[Operation],
    Field(min_length=1),
    Expected("a list of one or more of " + ", ".join(get_args(Operation))),
]


ClassNames = Annotated[
    list[Annotated[str, Field(min_length=1), Expected("the name of a class")]],
    Field(min_length=1),
    Expected("a list of the names of classes"),
]


class Section(BaseModel):
    """A config section: frozen, strict, no unknown keys, and defaults validated too."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
    )
