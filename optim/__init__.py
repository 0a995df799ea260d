"""LogAdam, and log damping for any Keras optimizer; depends on keras alone."""

from .damp import damp
from .damped import LogAdamW, LogDamped, LogLion, LogRMSprop, LogSGD
from .log_adam import LogAdam
from .spike_ledger import SpikeLedger

__all__ = [
    "LogAdam",
    "LogAdamW",
    "LogDamped",
    "LogLion",
    "LogRMSprop",
    "LogSGD",
    "SpikeLedger",
    "damp",
]
