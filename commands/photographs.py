"""The photographs of a config."""

import data
from settings.config import Config
from settings.messages import Problem, Say


def load_images(config: Config, say: Say) -> data.ImageSet:
    """Loads the photographs of a config.

    Raises:
        Problem: If they are not usable.
    """
    settings = config.data
    try:
        return data.load_images(
            settings.source,
            image_size=settings.image_size,
            cache_dir=settings.cache_dir,
            path=settings.path,
            name=settings.name,
            data_dir=settings.data_dir,
            splits=settings.splits,
            num_images=settings.num_images,
            say=say,
        )
    except data.DataError as error:
        raise Problem(str(error)) from error
