"""The explorer of a generator that knows classes, in a real browser."""

import numpy as np
import pytest

explore_tests = pytest.importorskip("test_explore_page")

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from commands.exports import directions_of, halved, onnx_model  # noqa: E402
from gallery.explore_page import write_explore_page  # noqa: E402
from gallery.grids import to_uint8  # noqa: E402
from models.generator import build_generator  # noqa: E402

chromium = explore_tests.chromium
HOSTILE, SIZE, LATENT_DIM = explore_tests.HOSTILE, 32, 16
NAMES = ["rose", "water lily", "银莲花", HOSTILE, "fire lily", "a&b=c,d"]
NAMES += [f"fern {number}" for number in range(12)]
WIDE, NARROW = (1440, 900), (390, 844)


@pytest.fixture(scope="module")
def generator():
    """Returns a generator whose classes are clearly different."""
    made = build_generator(
        image_size=SIZE,
        num_layers=22,
        latent_dim=LATENT_DIM,
        base_channels=4,
        max_channels=8,
        norm="rms",
        num_classes=len(NAMES),
    )
    draw = np.random.default_rng(0)
    for variable in made.trainable_variables:
        noise = draw.standard_normal(variable.shape).astype(np.float32)
        scale = 1 if "class_embedding" in variable.path else 0.1
        variable.assign(variable + scale * noise)
    return made


@pytest.fixture(scope="module")
def file(generator, tmp_path_factory):
    return write_explore_page(
        tmp_path_factory.mktemp("run") / "explore.html",
        name="species",
        iteration=1000,
        image_size=SIZE,
        latent_dim=LATENT_DIM,
        model=halved(onnx_model(generator)).SerializeToString(),
        directions=directions_of(generator),
        seed=5,
        truncation=None,
        classes=NAMES,
        label=1,
    )


@pytest.fixture(scope="module")
def opened(chromium, file):
    return explore_tests.Explorer(chromium, file)


@pytest.fixture
def page(opened):
    """Returns the page as if freshly opened."""
    opened.resize(*WIDE)
    opened.browser.execute_async_script(
        "const done = arguments[0]; stopWalk(); element('find').value = '';"
        "document.activeElement.blur();"
        "visit(pictureOf('#seed=5')).then(done);"
    )
    return opened


def drawn(generator, latents, weights):
    images = generator([latents[None], np.float32([weights])]).numpy()
    return to_uint8(images)[0].astype(int)


def one_hot(*shares):
    weights = np.zeros(len(NAMES), np.float32)
    for name, share in shares:
        weights[NAMES.index(name)] = share
    return weights


def is_drawn(page, generator, *shares):
    expected = drawn(generator, page.latents(page.link()), one_hot(*shares))
    return np.abs(page.pixels() - expected).max() <= explore_tests.TOLERANCE


def caption(page):
    return page.find("#caption").text


def test_it_opens_with_the_class_that_was_named(page, generator):
    assert page.link() == "#seed=5&class=water%20lily"
    assert is_drawn(page, generator, ("water lily", 1))
    assert not is_drawn(page, generator, ("rose", 1))
    assert caption(page) == "water lily, seed 5"
    assert len(directions_of(generator)) == 8


@pytest.mark.parametrize("name", NAMES[2:6])
def test_every_name_is_chosen_from_the_list_and_is_in_the_link(page, generator, name):
    options = page.browser.find_elements(By.CSS_SELECTOR, "#class option")
    assert [option.text for option in options] == NAMES
    link = page.settled(options[NAMES.index(name)].click)
    assert is_drawn(page, generator, (name, 1))
    assert page.run("return window.hacked") is None
    read = "return data.classes[pictureOf(arguments[0]).classes[0]]"
    assert page.run(read, link) == name
    # The same latent as before.
    np.testing.assert_array_equal(page.latents(link), page.latents("#seed=5"))


def test_keys_choose_a_class_in_the_list_and_do_nothing_else(page):
    page.run("element('class').focus()")
    page.settled(lambda: page.press(Keys.ARROW_DOWN))
    assert caption(page) == "银莲花, seed 5"
    # Letters find a name; N would draw another picture elsewhere.
    page.settled(lambda: page.press("fern 3"))
    assert caption(page) == "fern 3, seed 5"


def test_a_whole_name_is_found_first_and_then_those_that_contain_it(page):
    field = page.find("#find")
    page.settled(lambda: field.send_keys("fern 3", Keys.ENTER))
    field.clear()
    for name in ("fern 1", "fern 10", "fern 11", "fern 1"):
        keys = ("FERN 1", Keys.ENTER) if not field.get_property("value") else Keys.ENTER
        page.settled(lambda keys=keys: field.send_keys(*keys))
        assert caption(page) == f"{name}, seed 5"


def test_a_part_of_a_name_is_found_again_and_again(page):
    field = page.find("#find")
    page.settled(lambda: field.send_keys("LILY", Keys.ENTER))
    assert caption(page) == "fire lily, seed 5"
    assert page.find("#said").text == "fire lily: 2 of 2 found."
    page.settled(lambda: field.send_keys(Keys.ENTER))
    assert caption(page) == "water lily, seed 5"
    link = page.link()
    field.send_keys("x", Keys.ENTER)
    assert page.find("#said").text == "No class has LILYx in its name."
    assert page.link() == link


def test_two_classes_are_mixed_by_a_slider(page, generator):
    options = page.browser.find_elements(By.CSS_SELECTOR, "#class-2 option")
    assert not page.find("#blend").is_displayed()
    page.settled(options[1 + NAMES.index("rose")].click)
    assert is_drawn(page, generator, ("water lily", 0.5), ("rose", 0.5))
    slider = page.find("#blend")
    page.settled(lambda: slider.send_keys(Keys.HOME))
    page.settled(lambda: slider.send_keys(Keys.ARROW_RIGHT * 25))
    page.wait_until(lambda: page.link().endswith("&blend=0.25"))
    assert page.link() == "#seed=5&class=water%20lily&class=rose&blend=0.25"
    page.wait_until(
        lambda: is_drawn(page, generator, ("water lily", 0.75), ("rose", 0.25))
    )
    assert caption(page) == "75 % water lily, 25 % rose, seed 5"
    assert page.run("return element('blend').ariaValueText") == "25 % rose"
    page.settled(options[0].click)
    assert page.link() == "#seed=5&class=water%20lily"


def test_another_picture_a_mixture_and_a_walk_keep_the_class(page):
    page.settled(lambda: page.type_seed("#seed=8&class=rose"))
    for change in (
        lambda: page.click("#another"),
        lambda: page.click("[name=corners][value='2']"),
        lambda: page.type_seed("77"),
        lambda: page.click("#level"),
    ):
        change()
        page.wait_until(lambda: caption(page).startswith("rose, "))
    page.click("#walk")
    page.wait_until(lambda: page.run("return view.picture.isLeg"))
    assert page.settled(lambda: page.click("#walk")).endswith("&class=rose")


@pytest.mark.parametrize(
    "link, classes",
    [
        ("#seed=1&class=ROSE", [0]),
        ("#seed=1", [1]),
        ("#seed=1&class=rose&class=fire+lily", [0, 4]),
        ("#seed=1&class=tulip", None),
        ("#seed=1&class=rose&class=tulip", None),
        ("#seed=1&class=rose&class=fern 1&class=fern 2", None),
        ("#seed=1&class=rose&class=fern 1&blend=1.5", None),
        ("#seed=1&class=rose&class=fern 1&blend=x", None),
    ],
)
def test_a_link_names_classes(page, link, classes):
    assert page.run("return pictureOf(arguments[0])?.classes ?? null", link) == classes


def test_strips_and_squares_are_of_the_class(page, generator):
    page.settled(lambda: page.type_seed("#seed=8&class=rose"))
    page.wait_until(lambda: page.pixels("#strip-7")[:, -1].any())
    latents = page.latents("#seed=8&class=rose&moves=-3,0,0,0,0,0,0,0")
    expected = drawn(generator, latents, one_hot(("rose", 1)))
    page.wait_until(
        lambda: np.abs(page.pixels("#strip-0")[:, :SIZE] - expected).max() <= 2
    )


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_controls_fit_and_have_names(page, size):
    page.resize(*size)
    page.settled(lambda: page.type_seed("#seed=8&class=rose&class=fern 1"))
    assert page.run("return document.documentElement.scrollWidth") <= size[0]
    for selector in ("#find", "#class", "#class-2", "#blend"):
        assert page.box(selector)[2] > 180, selector
        assert page.find(selector).accessible_name
    assert page.console() == []
