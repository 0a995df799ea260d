"""LogAdam, and log damping for any Keras optimizer; needs nothing but keras."""

from optim.damp import damp
from optim.damped import LogAdamW, LogDamped, LogLion, LogRMSprop, LogSGD
from optim.log_adam import LogAdam
from optim.spike_ledger import SpikeLedger

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
