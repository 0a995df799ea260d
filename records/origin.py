"""What a run recorded of its own start, in origin.json."""

import pydantic

from records.run_folder import RunFolder
from settings.messages import Problem

FORMAT = 1  # of a run's folder; raised when an older version could not continue it


class ParentOfRun(pydantic.BaseModel, frozen=True, strict=True):
    """What a run started from.

    Attributes:
        requested: What the user wrote, "RUN", "RUN@N" or the path of a weights file.
        run: The other run's name.
        iteration: Its iterations done.
        average: What the generator of a weights file is a longer average of, in words;
            "" if it was the other run's own.
    """

    requested: str
    run: str
    iteration: int
    average: str = ""


class Origin(pydantic.BaseModel, frozen=True, strict=True):
    """What a run started from, and with.

    Attributes:
        format: Of the run's folder; 1 where the file names none.
        data_fingerprint: Of the photographs.
        num_images: How many photographs; None if an older version did not say.
        parent: What the run started from; None if from nothing.
        device: What it was first trained on.
        versions: Of Python and packages, by name.
    """

    format: int = FORMAT
    data_fingerprint: str
    num_images: int | None = None
    parent: ParentOfRun | None = None
    device: str = ""
    versions: dict[str, str] = {}


class _OfAnyFormat(pydantic.BaseModel):
    """The only key that a file of a newer version needs to have."""

    format: int = FORMAT


def read_origin(run: RunFolder) -> Origin:
    """Reads what the run started from.

    Raises:
        Problem: If the file is missing, damaged, or of a newer version.
    """
    try:
        text = run.origin.read_bytes()
        found = _OfAnyFormat.model_validate_json(text).format
        if found > FORMAT:
            raise Problem(
                f"{run.root}: a run of a newer version of this program\n"
                f"  expected: format {FORMAT} in {run.origin.name}, or an older one\n"
                f"  found:    format {found}\n"
                "  update this program, or give this run another run.name"
            )
        return Origin.model_validate_json(text)
    except (OSError, ValueError) as error:
        raise Problem(
            f"{run.origin}: cannot be read ({reason(error)})\n"
            "  without it nobody knows what this run was trained on; put it back, or "
            "start anew with --fresh"
        ) from error


def reason(error: Exception) -> str:
    """Returns in one line why a file could not be read."""
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}" if place else first["msg"]
    return str(error)
