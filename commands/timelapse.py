"""Writes a time-lapse of a run from the grids it has written."""

import pathlib

from commands.chosen import Chosen
from commands.generate_options import GenerateOptions
from gallery.timelapse import chosen_grids, grids_until, timelapse_frames
from gallery.walks import write_walk
from settings.messages import Problem, say


def write_timelapse(
    options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes the film of grids up to the chosen checkpoint, and prints its path.

    Raises:
        Problem: If there is no grid, or the film cannot be written.
    """
    samples = chosen.run.samples
    iterations = grids_until(samples, chosen.iteration)
    if chosen.file is not None or not iterations:
        place = f"{chosen.file}: a weights file has" if chosen.file else f"{samples}:"
        raise Problem(
            f"{place} no grids up to iteration {chosen.iteration}\n"
            "  expected: a run that has written some, every "
            "training.sample_every_iterations"
        )
    shown = chosen_grids(iterations, options.frames)
    try:
        frames, bad = timelapse_frames(
            samples,
            shown,
            chosen.config.data.image_size,
            options.num_images,
            options.frames_per_second,
        )
        for name in bad:
            say(f"warning: {samples / name} is damaged or of another size; left out")
        say(f"{chosen.named}: {len(shown) - len(bad)} of {len(iterations)} grids")
        write_walk(frames, out, options.frames_per_second)
    except ValueError as error:
        raise Problem(f"{samples}: no grid can be read ({error})") from error
    except OSError as error:
        raise Problem(f"{out}: could not be written ({error})") from error
    say(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
