"""Downloads files, and fails within seconds if there is no network."""

import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from files.atomic import written_aside

CONNECT_SECONDS = 5  # after which a host counts as unreachable
STALL_SECONDS = 30  # without a byte, after which a download has failed


def download(
    url: str,
    path: Path,
    check: Callable[[Path], object],
    say: Callable[[str], None],
) -> None:
    """Downloads a file, all or nothing; creates its folder.

    `check` raises an error of its own if the file at a path is not the right one.

    Raises:
        OSError: If the file cannot be downloaded or written.
    """
    import pooch  # slow to import and rarely needed

    say(f"downloading {url} into {path.parent}")
    problem = why_unreachable(url)
    if problem:
        raise OSError(problem)
    path.parent.mkdir(parents=True, exist_ok=True)
    fetch = pooch.HTTPDownloader(timeout=(CONNECT_SECONDS, STALL_SECONDS))
    with written_aside(path) as aside:
        fetch(url, str(aside), None)
        check(aside)


def why_unreachable(url: str) -> str | None:
    """Returns why a host does not answer within seconds, or None if it does.

    Any answer will do, even an error. Proxies from the environment are used.
    """
    problems = []

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=CONNECT_SECONDS).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            problems.append(str(getattr(error, "reason", error)))

    # In a thread, because resolving a host name has no timeout of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if thread.is_alive():
        return f"no answer within {CONNECT_SECONDS} seconds"
    return problems[0] if problems else None
