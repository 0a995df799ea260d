"""Opens files that users name without ever waiting for one.

To open a pipe waits for whoever writes into it; to read a device may go on for ever.
"""

import errno
import os
import stat
from typing import BinaryIO

NOT_REGULAR = "not a regular file"
NO_SUCH_END = (errno.ENXIO, errno.ENODEV)  # of sockets, and of devices without a driver
# Parts of the file system that hold no files, but a view of the kernel; below the
# exception is memory used as a disk.
PSEUDO_FOLDERS, EXCEPTION = ("/proc", "/sys", "/dev"), "/dev/shm"


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file for reading, if it is one when it is open.

    Raises:
        OSError: If it cannot be opened; without an errno, if it is no regular file.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in NO_SUCH_END:
            raise OSError(NOT_REGULAR) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(NOT_REGULAR)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def size_of(file: BinaryIO) -> int:
    """Returns the size of an open file in bytes, and goes to its beginning."""
    num_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    return num_bytes


def in_pseudo_folder(path: str | os.PathLike[str]) -> bool:
    """Tells whether a path, its links followed, is where no files are kept."""
    try:
        real = os.path.realpath(path)
    except OSError:  # a link on the way that this user may not read
        return False
    beneath = [os.path.commonpath([real, top]) == top for top in PSEUDO_FOLDERS]
    return any(beneath) and os.path.commonpath([real, EXCEPTION]) != EXCEPTION
