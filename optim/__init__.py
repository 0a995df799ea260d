"""LogAdam, and log damping for any Keras optimizer; depends on Keras alone.

Holds the damping, the adaptive knee, learning rates scaled by fan-in, and what counts
as a gradient spike. It is the package `magnetosphere` that pip installs, so nothing
here knows the trainer.
"""

from .damp import damp
from .damped import LogAdamW, LogDamped, LogLion, LogRMSprop, LogSGD
from .fan_in import FanInAdam, FanInLogAdam, FanInScaled
from .log_adam import LogAdam
from .spike_ledger import SpikeLedger

__all__ = [
    "FanInAdam",
    "FanInLogAdam",
    "FanInScaled",
    "LogAdam",
    "LogAdamW",
    "LogDamped",
    "LogLion",
    "LogRMSprop",
    "LogSGD",
    "SpikeLedger",
    "damp",
]
