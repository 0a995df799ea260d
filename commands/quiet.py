"""Imports TensorFlow without its dozen lines on stderr, and with fast convolutions."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Captures stderr, native code's included, and shows it only after an exception.

    C++ writes before it reads its log level, so the file descriptor is redirected.
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
    """Imports TensorFlow, quietly unless TF_CPP_MIN_LOG_LEVEL is set.

    Left to itself, TensorFlow computes convolutions with oneDNN only on CPUs that have
    AVX512-VNNI; without, as on Zen 3, an iteration takes almost twice as long
    (docs/performance.md). TF_ENABLE_ONEDNN_OPTS=0 still turns it off.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault(ONEDNN, "1")
    if LEVEL in os.environ:
        import tensorflow  # noqa: F401

        return
    os.environ[LEVEL] = "3"  # errors also raise Python exceptions
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
