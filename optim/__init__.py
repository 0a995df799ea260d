"""LogAdam, and log damping for any Keras optimizer; needs nothing but keras."""

from optim.damped import LogAdamW, LogDamped, LogLion, LogRMSprop, LogSGD
from optim.log_adam import LogAdam, damp

__all__ = [
    "LogAdam",
    "LogAdamW",
    "LogDamped",
    "LogLion",
    "LogRMSprop",
    "LogSGD",
    "damp",
]
