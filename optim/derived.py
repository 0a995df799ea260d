"""Makes a Keras optimizer class with a mixin before it, once for each class."""

import keras
from keras.optimizers import Optimizer

Made = dict[type[Optimizer], type[Optimizer]]


def derived(
    mixin: type, cls: type[Optimizer], prefix: str, summary: str, made: Made
) -> type[Optimizer]:
    """Returns the subclass of `cls` with a mixin, registered with Keras.

    Args:
        mixin: Comes before `cls` in the order of methods.
        cls: A class that has the mixin already is returned as it is.
        prefix: Of its name, before that of `cls`.
        summary: Its docstring.
        made: Those made before, by `cls`; the new one is added.
    """
    if issubclass(cls, mixin):
        return cls
    if cls not in made:
        new = type(f"{prefix}{cls.__name__}", (mixin, cls), {"__doc__": summary})
        made[cls] = keras.saving.register_keras_serializable("magnetosphere")(new)
    return made[cls]
