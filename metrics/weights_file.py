"""Weights that lie in a file: found, downloaded once, and known by their SHA-256."""

import contextlib
import hashlib
import http.client
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metrics.errors import FeaturesError

Say = Callable[[str], None]

CONNECT_SECONDS = 5  # after which a host counts as out of reach
STALL_SECONDS = 30  # without a byte, after which a download has failed


def existing_file(path: str | Path, name: str) -> Path:
    """Returns the path of a file a user has given.

    Raises:
        FeaturesError: If it is not one.
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


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_sha256(path: Path, say: Say) -> str:
    """Returns a file's SHA-256, the one it had when it was first used.

    That one is kept beside the file, as sha256sum writes it.

    Raises:
        FeaturesError: If the file is not the same any more.
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


def download(url: str, path: Path, check: Callable[[Path], Any], say: Say) -> None:
    """Downloads a file, all or nothing.

    Args:
        url: Of the file.
        path: Where to; its folder is made.
        check: Raises FeaturesError if the file at a path is not the right one.
        say: Takes a line for people.

    Raises:
        OSError: If it cannot be had or written. A host that is out of reach is known
            within seconds.
        FeaturesError: From `check`.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    say(f"downloading {url} into {path.parent}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(url) as answer, aside.open("wb") as file:
            shutil.copyfileobj(answer, file)
            expected = answer.headers.get("Content-Length")
        if expected and int(expected) != aside.stat().st_size:
            raise OSError(f"{aside.stat().st_size} of {expected} bytes came")
        check(aside)
        os.replace(aside, path)
    except http.client.HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _opened(url: str) -> Any:
    """Returns the answer of a host, or raises OSError within seconds."""
    outcome: list[Any] = []
    is_given_up = threading.Event()

    def ask() -> None:
        try:
            answer = urllib.request.urlopen(url, timeout=STALL_SECONDS)
        except urllib.error.HTTPError as error:
            error.close()
            outcome.append(error)
        except (OSError, ValueError, http.client.HTTPException) as error:
            outcome.append(getattr(error, "reason", error))
        else:
            if is_given_up.is_set():
                answer.close()
            outcome.append(answer)

    # A thread, as the look-up of a name has no timeout of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if not outcome:
        is_given_up.set()
        raise TimeoutError(f"no answer within {CONNECT_SECONDS} seconds")
    if not isinstance(outcome[0], http.client.HTTPResponse):
        raise OSError(str(outcome[0]))
    return outcome[0]


def _keep(beside: Path, line: str, say: Say) -> None:
    """Writes the line; a folder that cannot be written to is no reason to stop."""
    aside = beside.with_name(f".{beside.name}.{os.getpid()}.tmp")
    try:
        aside.write_text(line, encoding="ascii")
        os.replace(aside, beside)
    except OSError as error:
        say(f"warning: {beside} could not be written ({error.strerror})")
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
