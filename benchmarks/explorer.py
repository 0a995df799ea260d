"""Measures an explorer page in headless Chromium: size, start, picture, difference.

python -m benchmarks.explorer RUN [--checkpoint ...]: writes the page of a run into a
temporary folder, opens it five times from disk and times the first picture, then draws
fifty more, and compares fifty with Keras'. Prints medians.
"""

import argparse
import pathlib
import shutil
import statistics
import tempfile

from commands.chosen import choose
from commands.quiet import import_tensorflow

STARTS = 5
PICTURES = 50
COMPARED = 50

# Until the picture has been painted on the screen.
FIRST = """
const done = arguments[0];
const look = () => document.documentElement.dataset.ready
  ? requestAnimationFrame(() => done(performance.now())) : setTimeout(look, 10);
look();
"""
NEXT = """
const [seed, done] = arguments, start = performance.now();
show(pictureOf(`#seed=${seed}`)).then(() => done(performance.now() - start));
"""
PIXELS = """
const picture = pictureOf(`#seed=${arguments[0]}`), done = arguments[1];
draw([picture]).then(([image]) => done(
  [[...latentsOf(picture)], [...classWeightsOf(picture)], [...image.data]]));
"""


def main() -> None:
    """Measures, and prints a line for each number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--checkpoint", default="latest")
    arguments = parser.parse_args()
    chosen = choose(arguments.run, arguments.checkpoint)
    import_tensorflow()
    import numpy as np

    from commands.exports import directions_of, halved, onnx_model
    from commands.loading import load_ema_generator
    from commands.pictures.classes import class_names
    from gallery.explore_page import write_explore_page
    from gallery.grids import to_uint8
    from training.pictures import sizes_of_inputs

    generator = load_ema_generator(chosen)
    with tempfile.TemporaryDirectory() as folder:
        page = write_explore_page(
            pathlib.Path(folder) / "explore.html",
            name=chosen.run.name,
            iteration=chosen.iteration,
            image_size=generator.output_shape[1],
            latent_dim=sizes_of_inputs(generator)[0],
            model=halved(onnx_model(generator)).SerializeToString(),
            directions=directions_of(generator),
            seed=0,
            truncation=None,
            classes=class_names(chosen),
        )
        print(
            f"page: {page.stat().st_size / 1e6:.1f} MB, {generator.output_shape[1]} px"
        )
        browser = open_browser()
        try:
            starts = [start_of(browser, page) for _ in range(STARTS)]
            browser.execute_script("stripsKey = ''")  # stops drawing the strips
            times = [
                browser.execute_async_script(NEXT, seed) for seed in range(PICTURES)
            ]
            pairs = [browser.execute_async_script(PIXELS, n) for n in range(COMPARED)]
        finally:
            browser.quit()
    latents, classes, pixels = (np.float32(one) for one in zip(*pairs, strict=True))
    inputs = [latents, classes] if classes.size else latents
    expected = to_uint8(generator(inputs).numpy()).reshape(COMPARED, -1, 3)
    difference = pixels.reshape(COMPARED, -1, 4)[..., :3] - expected.astype(int)
    told(starts, "first picture after opening")
    told(times, "a new picture")
    largest = abs(difference).max(axis=(1, 2))
    print(
        f"largest difference from Keras: {largest.max():.0f} of 255 "
        f"({COMPARED} pictures)"
    )


def told(milliseconds: list[float], what: str) -> None:
    """Prints a median with the range."""
    middle = statistics.median(milliseconds)
    lowest, highest = min(milliseconds), max(milliseconds)
    print(f"{what}: {middle:.0f} ms ({lowest:.0f} to {highest:.0f})")


def start_of(browser: object, page: pathlib.Path) -> float:
    """Opens the page anew; returns the milliseconds to its first picture."""
    browser.get("about:blank")
    browser.get(page.as_uri())
    return browser.execute_async_script(FIRST)


def open_browser() -> object:
    """Returns a headless Chromium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


if __name__ == "__main__":
    main()
