"""Imports TensorFlow without the dozen lines it writes to stderr."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps what native code writes to stderr, and shows it only if this fails.

    The lines come from C++ before its log level is read, so only the file descriptor
    itself can keep them away.
    """
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(real, kept.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras quietly.

    Who sets TF_CPP_MIN_LOG_LEVEL in the environment sees everything from there on.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if LEVEL in os.environ:
        import tensorflow  # noqa: F401

        return
    os.environ[LEVEL] = "3"  # errors come as Python exceptions; the rest is noise
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
