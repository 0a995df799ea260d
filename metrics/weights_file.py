"""Finds or downloads files of weights, and identifies them by their SHA-256."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from files.atomic import write_text
from files.download import download
from files.regular import open_regular
from metrics.errors import FeaturesError

Say = Callable[[str], None]


def existing_file(path: str | Path, name: str) -> Path:
    """Returns the path of a file that the user has given.

    Raises:
        FeaturesError: If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise FeaturesError(
            f"the weights of {name} are not where they are said to be\n"
            f"  expected: a file\n"
            f"  found:    {found} at {path.absolute()}"
        )
    return path


def bounded_content(path: Path, most_bytes: int) -> bytes:
    """Returns the bytes of a file, if there are not more than so many.

    Raises:
        FeaturesError: If there are, or the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise FeaturesError(f"{path}: could not be read ({error})") from error
    if len(content) > most_bytes:
        raise too_large(path, most_bytes, path.stat().st_size)
    return content


def too_large(path: Path, most_bytes: int, found: int) -> FeaturesError:
    """Returns the error for a file that holds more than so many bytes."""
    return FeaturesError(
        f"{path.absolute()} is too large to be a file of weights\n"
        f"  expected: at most {most_bytes / 2**20:,.0f} MiB\n"
        f"  found:    {found / 2**20:,.0f} MiB"
    )


def weights_path(
    weights: str | Path | None,
    cache_dir: str | Path,
    url: str,
    name: str,
    check: Callable[[Path], object],
    say: Say,
    also: str = "",
) -> Path:
    """Returns the given file, or for None the cached one, downloaded if missing.

    The cached file is named after the last part of the URL. `check` raises
    FeaturesError if a file is not the right one; `name` and `also`, what else will do,
    are for messages.

    Raises:
        FeaturesError: If there is no such file and it cannot be downloaded.
    """
    if weights is not None:
        return existing_file(weights, name)
    file_name = url.rpartition("/")[2]
    path = Path(cache_dir) / file_name
    try:
        if not path.is_file():
            download(url, path, check, say)
    except OSError as error:
        raise FeaturesError(
            f"the weights of {name} are not on this machine and could not be "
            f"downloaded\n"
            f"  looked for: {path.absolute()}\n"
            f"  address:    {url}\n"
            f"  found:      {error}\n"
            f"  what to do: download {file_name} on a machine with network and put it "
            f"there, or give it{also} by path as the weights of {name}"
        ) from error
    return path


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_sha256(path: Path, say: Say) -> str:
    """Returns a file's SHA-256 if it is unchanged since its first use.

    That of the first use is kept beside the file, in the format of sha256sum.

    Raises:
        FeaturesError: If the file has changed, or the kept SHA-256 is unreadable.
    """
    beside = path.with_name(path.name + ".sha256")
    found = sha256_of(path)
    try:
        kept = beside.read_text(encoding="ascii").split()[:1]
    except FileNotFoundError:
        _keep(beside, f"{found}  {path.name}\n", say)
        return found
    except (OSError, UnicodeDecodeError) as error:
        raise FeaturesError(f"{beside}: could not be read ({error})") from error
    if kept != [found]:
        raise FeaturesError(
            f"{path.absolute()} is not the file it was when it was first used\n"
            f"  expected:   SHA-256 {' '.join(kept) or 'none'}, from {beside.name}\n"
            f"  found:      SHA-256 {found}\n"
            f"  what to do: get the file again; if the new one is meant, remove "
            f"{beside.name}, and do not compare with numbers taken before"
        )
    return found


def _keep(beside: Path, line: str, say: Say) -> None:
    """Writes the line; warns if the folder cannot be written to."""
    try:
        write_text(beside, line)
    except OSError as error:
        say(f"warning: {beside} could not be written ({error.strerror})")
