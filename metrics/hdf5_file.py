"""Looks into an HDF5 file of weights before Keras reads it."""

from pathlib import Path

import h5py

from metrics.errors import FeaturesError
from metrics.weights_file import too_large


def check_hdf5(path: Path, most_bytes: int) -> None:
    """Checks how much an HDF5 file holds, by its own account, before any of it is read.

    A file of a kilobyte may claim an array of many gigabytes, all zeros, or one that is
    in another file.

    Raises:
        FeaturesError: If it claims more than so many bytes, refers to other files, or
            is none.
    """
    try:
        if path.stat().st_size > most_bytes:
            raise too_large(path, most_bytes, path.stat().st_size)
        with h5py.File(path, "r") as file:
            claimed = _claimed_bytes(path, file)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise FeaturesError(
            f"{path.absolute()} is no file of weights\n"
            f"  expected: HDF5, as Keras writes it\n"
            f"  found:    {error}"
        ) from error
    if claimed > most_bytes:
        raise too_large(path, most_bytes, claimed)


def _claimed_bytes(path: Path, file: h5py.File) -> int:
    """Returns the size of all arrays of a file."""
    claimed, pending = 0, [file["/"]]
    seen = {file["/"].id}
    while pending:
        group = pending.pop()
        for name in group:
            link = group.get(name, getlink=True)
            item = group[name] if isinstance(link, h5py.HardLink) else None
            is_elsewhere = isinstance(item, h5py.Dataset) and (
                item.is_virtual or item.external
            )
            if item is None or is_elsewhere:
                raise FeaturesError(
                    f"{path.absolute()} refers to what is elsewhere\n"
                    f"  expected: a file that holds all its weights\n"
                    f"  found:    {name}, which is in another file"
                )
            if isinstance(item, h5py.Dataset):
                claimed += item.nbytes
            elif isinstance(item, h5py.Group) and item.id not in seen:
                seen.add(item.id)
                pending.append(item)
    return claimed
