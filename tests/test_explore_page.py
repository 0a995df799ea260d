"""The page in which a generator runs, in a real browser, driven as a person would."""

import base64
import gzip
import hashlib
import io
import json
import re
import time
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from commands.exports import (
    directions_of,
    halved,
    onnx_model,
    write_explorer,
    write_keras,
)
from commands.pictures.latents import truncated
from gallery.explore_page import ENGINE, ENGINE_ORIGIN, engine_file, write_explore_page
from gallery.grids import to_uint8
from models.generator import build_generator
from settings.config import Config

browser_tests = pytest.importorskip("test_page_in_browser")

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

chromium = browser_tests.chromium
HOSTILE = "</script><img src=x onerror=window.hacked=1>"
SIZE, LATENT_DIM = 32, 16
TOLERANCE = 2  # of 255: weights are float16
WINDOWS = [(1440, 900), (820, 1180), (390, 844)]
PHONE = WINDOWS[-1]
LAPTOP = (1366, 650)  # the inside of its browser's window
LYING = (844, 390)  # the phone
SIZES = [*WINDOWS, (1280, 780), LAPTOP, (900, 700), LYING, (240, 800)]
COPIED = "Link copied. Pasted into Seed, it opens the picture."
LINKS = [
    "#seed=0",
    "#seed=4294967295&truncation=0.5",
    "#seed=3,9&at=0.25,0&moves=0,0,0,-1.5,0,0,0,2",
    "#seed=1,2,3,4&at=0.3,0.8&truncation=1.2",
]


def random_generator():
    """Returns a generator in which every weight counts, with images beyond [-1, 1]."""
    made = build_generator(
        image_size=SIZE,
        num_layers=22,
        latent_dim=LATENT_DIM,
        base_channels=4,
        max_channels=8,
        norm="rms",
    )
    draw = np.random.default_rng(0)
    for variable in made.trainable_variables:
        noise = draw.standard_normal(variable.shape)
        variable.assign(variable + 0.1 * noise.astype(np.float32))
    return made


@pytest.fixture(scope="module")
def generator():
    return random_generator()


def write(path, generator, model, truncation=None):
    """Writes a page with the generator in it."""
    return write_explore_page(
        path,
        name=HOSTILE,
        iteration=1000,
        image_size=SIZE,
        latent_dim=LATENT_DIM,
        model=model,
        directions=directions_of(generator),
        seed=5,
        truncation=truncation,
    )


@pytest.fixture(scope="module")
def model(generator):
    return halved(onnx_model(generator)).SerializeToString()


@pytest.fixture(scope="module")
def file(generator, model, tmp_path_factory):
    """Returns the path of a page with the generator in it."""
    return write(tmp_path_factory.mktemp("run") / "explore.html", generator, model)


class Address:
    """The path of a page and a link in it, opened as one."""

    def __init__(self, path, link):
        self.path, self.link = path, link

    def as_uri(self):
        return self.path.as_uri() + self.link


class Explorer(browser_tests.Page):
    """The page in the browser, ready."""

    def __init__(self, browser, path, size=WINDOWS[0], link=""):
        browser.get("about:blank")  # else another link would not load the page anew
        super().__init__(browser, Address(path, link), size)
        self.wait_until(
            lambda: self.run("return document.documentElement.dataset.ready")
        )

    def link(self):
        return self.run("return location.hash")

    def pixels(self, selector="#picture"):
        """Returns the pixels of a canvas, int [height, width, 3]."""
        script = "return document.querySelector(arguments[0]).toDataURL()"
        png = base64.b64decode(self.run(script, selector).partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)

    def latents(self, link):
        latents = self.run("return [...latentsOf(pictureOf(arguments[0]))]", link)
        return np.float32(latents)

    def click(self, selector):
        self.run("document.querySelector(arguments[0]).click()", selector)

    def settled(self, change):
        """Makes a change, and returns the link once it is another."""
        before = self.link()
        change()
        self.wait_until(lambda: self.link() != before)
        return self.link()

    def type_seed(self, text):
        field = self.find("#seed")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text, Keys.ENTER)

    def touch(self, *points, before_lifting=lambda: None):
        """Puts a finger down at the first point, moves it to the others, lifts it."""
        kinds = ["touchStart", *["touchMove"] * (len(points) - 1)]
        for kind, (x, y) in zip(kinds, points, strict=True):
            self.dispatch(kind, [{"x": x, "y": y}])
        before_lifting()
        self.dispatch("touchEnd", [])

    def tap(self, x, y):
        """Taps, shortly: two events of `touch` may be as far apart as a long press."""
        self.browser.execute_cdp_cmd("Input.synthesizeTapGesture", {"x": x, "y": y})

    def dispatch(self, kind, points):
        values = {"type": kind, "touchPoints": points}
        self.browser.execute_cdp_cmd("Input.dispatchTouchEvent", values)

    def box(self, selector, scroll=True):
        """Returns an element's left, top, width and height, brought into sight."""
        return self.run(
            "const e = document.querySelector(arguments[0]);"
            "if (arguments[1]) e.scrollIntoView({block: 'end', behavior: 'instant'});"
            "const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]",
            selector,
            scroll,
        )


@pytest.fixture
def page(chromium, file):
    """Returns the page on a laptop, as if freshly opened, which would take seconds."""
    if chromium.current_url.partition("#")[0] != file.as_uri():
        return Explorer(chromium, file, link="#seed=5")
    page = Explorer.__new__(Explorer)
    page.browser = chromium
    page.resize(*WINDOWS[0])
    chromium.execute_async_script(
        "const done = arguments[0]; stopWalk(); element('enlarged').close();"
        "Object.assign(view, {seen: [], place: -1});"
        "document.activeElement.blur();"
        "visit(pictureOf('#seed=5')).then(done);"
    )
    return page


def drawn(generator, latents):
    """Returns what Keras draws of a latent, int [height, width, 3]."""
    return to_uint8(generator(latents[None]).numpy())[0].astype(int)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_gives_keras_picture_of_its_latent(chromium, file, generator, link):
    page = Explorer(chromium, file, link=link)
    expected = drawn(generator, page.latents(link))
    assert expected.std() > 10
    assert np.abs(page.pixels() - expected).max() <= TOLERANCE
    assert page.link() == link


def test_nothing_is_fetched_and_nothing_complains(chromium, file):
    page = Explorer(chromium, file)
    page.click("#another")
    page.click("[name=corners][value='4']")
    page.wait_until(lambda: page.pixels("#square").any(axis=(1, 2)).all())
    assert page.console() == []
    asked = page.requests()
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []
    assert {url.partition("#")[0] for url in asked if url.startswith("file:")} == {
        page.run("return location.href.split('#')[0]")
    }
    fetch = "return fetch('http://127.0.0.1:1/').then(() => 'let', (e) => String(e))"
    assert "Failed to fetch" in page.run(fetch)
    assert any("Content Security Policy" in line for line in page.console())


def test_names_are_shown_and_never_run(page):
    assert page.find("h1").text == HOSTILE
    assert page.run("return window.hacked") is None


def test_latents_are_normal_and_a_function_of_the_seed_alone(page):
    script = "return [...Array(2000).keys()].map((seed) => [...latentOf(seed)])"
    latents = np.array(page.run(script))
    # A seed of 2,000 x 16 draws that fails at 1 in 1,000 would fail always.
    assert stats.kstest(latents.ravel(), "norm").pvalue > 1e-3
    correlations = np.corrcoef(latents.T) - np.eye(LATENT_DIM)
    neighbours = np.corrcoef(latents[:-1].ravel(), latents[1:].ravel())[0, 1]
    assert np.abs(correlations).max() < 5 / np.sqrt(len(latents))
    assert abs(neighbours) < 5 / np.sqrt(latents.size)
    # The integers of MurmurHash3's finalizer are known: 0 -> 0, 1 -> 0x514e28b7.
    assert page.run("return [scrambled(0), scrambled(1)]") == [0, 0x514E28B7]
    shares = np.array([1e-9, 1e-4, 0.02, 0.3, 0.5, 0.9, 0.9999])
    normal = page.run("return arguments[0].map(normalAt)", shares.tolist())
    np.testing.assert_allclose(normal, stats.norm.ppf(shares), rtol=2e-9, atol=1e-12)


@pytest.mark.parametrize("limit", [0.01, 0.2, 1, 3])
def test_truncation_is_that_of_the_command_line(page, limit):
    latents = np.linspace(-6, 6, 101)
    mapped = page.run(
        "return truncated(arguments[0], arguments[1])", latents.tolist(), limit
    )
    expected = truncated(latents.astype(np.float32), limit)
    assert np.abs(mapped).max() <= limit
    # The share below a number is within 7.5e-8, of a density of 0.0044 at 3.
    np.testing.assert_allclose(mapped, expected, atol=2e-4)


def test_a_mixture_is_as_long_as_its_parts(page):
    corner = page.latents("#seed=1,2,3,4&at=1,0")
    np.testing.assert_array_equal(corner, page.latents("#seed=2"))
    corner = page.latents("#seed=1,2,3,4&at=0,1")
    np.testing.assert_array_equal(corner, page.latents("#seed=3"))
    middle = page.latents("#seed=1,2,3,4&at=0.5,0.5")
    parts = [page.latents(f"#seed={seed}") for seed in (1, 2, 3, 4)]
    np.testing.assert_allclose(middle, sum(parts) / 2, atol=1e-6)


def test_directions_are_where_the_dense_layer_changes_most(generator):
    kernel = generator.get_layer("dense").kernel.numpy()
    draws = np.random.default_rng(0).standard_normal((200_000, LATENT_DIM))
    _, _, components = np.linalg.svd(kernel, full_matrices=False)
    varied = (draws @ kernel @ components[:2].T).var(axis=0)
    total = (draws @ kernel).var(axis=0).sum()
    directions = directions_of(generator)
    assert len(directions) == 8
    for (share, vector), along, component in zip(
        directions, varied, components, strict=False
    ):
        assert share == pytest.approx(along / total, rel=0.02)
        moved = vector @ kernel
        assert abs(moved @ component) == pytest.approx(np.linalg.norm(moved), rel=1e-5)
        assert np.linalg.norm(vector) == pytest.approx(1, rel=1e-5)


def test_a_slider_goes_where_its_strip_shows(page, generator):
    last = "#strip-0"
    page.wait_until(lambda: page.pixels("#strip-7")[:, -1].any())
    strip = page.pixels(last)
    page.settled(lambda: page.find("#move-0").send_keys(Keys.END))
    assert page.link() == "#seed=5&moves=3,0,0,0,0,0,0,0"
    assert np.abs(page.pixels() - strip[:, -SIZE:]).max() <= 1
    direction = directions_of(generator)[0][1]
    expected = page.latents("#seed=5") + 3 * direction
    np.testing.assert_allclose(page.latents(page.link()), expected, atol=1e-5)
    page.settled(lambda: page.click("#level"))
    assert page.link() == "#seed=5"


def test_one_steps_back_through_what_was_seen(page):
    first = page.pixels()
    links = [page.settled(lambda: page.press("n")) for _ in range(3)]
    assert len(page.browser.find_elements(By.CSS_SELECTOR, "#seen button")) == 4
    assert len(set(links)) == 3
    assert page.settled(lambda: page.press(Keys.ARROW_LEFT)) == links[1]
    assert page.settled(lambda: page.click("#seen button")) == "#seed=5"
    np.testing.assert_array_equal(page.pixels(), first)
    assert page.find("#back").get_attribute("aria-disabled") == "true"
    assert page.settled(lambda: page.click("#forward")) == links[0]
    # From there, what comes next takes the place of what was ahead.
    page.settled(lambda: page.click("#another"))
    assert len(page.browser.find_elements(By.CSS_SELECTOR, "#seen button")) == 3


def test_a_walk_moves_and_stops_at_a_picture_with_a_link(page, generator):
    first = page.pixels()
    page.press("w")
    page.wait_until(lambda: np.abs(page.pixels() - first).max() > 20)
    assert page.find("#walk").get_attribute("aria-pressed") == "true"
    link = page.settled(lambda: page.press("w"))
    time.sleep(0.3)
    assert page.link() == link
    assert re.match(r"#seed=5,\d+&at=0\.\d+,0$", link)
    expected = drawn(generator, page.latents(link))
    assert np.abs(page.pixels() - expected).max() <= TOLERANCE
    # The next one is no mixture: nobody chose one.
    assert re.match(r"#seed=\d+$", page.settled(lambda: page.press("n")))
    page.press("w")
    page.wait_until(lambda: page.run("return view.picture.isLeg"))
    assert re.match(r"#seed=\d+$", page.settled(lambda: page.press("n")))
    assert page.find("[name=corners][value='1']").is_selected()


def test_a_walk_that_was_stopped_does_not_go_on_beside_the_next(page):
    page.run(
        "window.legs = new Set(); window.plainShow = show;"
        "show = (picture) => { legs.add(String(picture.seeds));"
        "return plainShow(picture); };"
        "for (const _ of 'www') actions.w();"  # within a frame
    )
    page.wait_until(lambda: page.run("return view.picture.at[0] > 0.05"))
    page.run("legs.clear()")
    page.wait_until(lambda: page.run("return view.picture.at[0] > 0.1"))
    page.run("show = plainShow; stopWalk()")
    assert len(page.run("return [...legs]")) == 1


def test_a_walk_out_of_a_mixture_moves_nothing_else(page):
    page.settled(lambda: page.type_seed("#seed=1,2,3,4&at=0.9,0.9"))
    page.run("document.activeElement.blur(); walking.legSeconds = 0.2")
    place = "return document.querySelector('#directions-title').offsetTop"
    before = page.run(place)
    page.press("w")
    page.wait_until(lambda: len(page.run("return view.seen")) > 3)
    assert page.run(place) == before
    # What the square shows is mixed, wherever the walk is by now.
    page.find("#across").send_keys(Keys.HOME)
    page.wait_until(lambda: page.link() == "#seed=1,2,3,4&at=0,1")
    assert page.find("#walk").get_attribute("aria-pressed") == "false"
    page.run("walking.legSeconds = 3")


def test_a_walk_in_a_hidden_tab_stops_at_its_address(page):
    page.press("w")
    page.wait_until(lambda: page.run("return view.picture.at[0] > 0.01"))
    hide = (
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange')); delete document.hidden"
    )
    page.settled(lambda: page.run(hide))
    assert page.link() == page.run("return linkOf(view.picture)")
    assert "between" in page.find("#caption").text


def test_a_saved_file_holds_the_pixels(page, tmp_path):
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    page.press("s")
    page.wait_until(lambda: list(tmp_path.glob("*.png")))
    (path,) = tmp_path.glob("*.png")
    assert path.name.endswith("seed-5-32px.png")
    np.testing.assert_array_equal(
        np.asarray(Image.open(path).convert("RGB")), page.pixels()
    )


def test_what_is_saved_enlarged_is_said_there(page, tmp_path):
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    page.press("e")
    page.find("#save-large").click()
    (path,) = page.wait_until(lambda: list(tmp_path.glob("*.png")))
    with Image.open(path) as image:
        assert image.size == (1024, 1024)
    assert page.find("#said-large").text == "Saved, 1024 x 1024 pixels."


def test_without_javascript_the_page_says_so(chromium, file):
    chromium.get("about:blank")
    switch = "Emulation.setScriptExecutionDisabled"
    chromium.execute_cdp_cmd(switch, {"value": True})
    try:
        chromium.get(file.as_uri())
        text = chromium.find_element(By.CSS_SELECTOR, "figure").text
        assert text.strip() == "The generator runs in JavaScript, which is off here."
    finally:
        chromium.execute_cdp_cmd(switch, {"value": False})
        chromium.get("about:blank")


def test_the_enlarged_picture_opens_and_closes_by_keys(page):
    page.press("e")
    assert page.run("return document.activeElement.id") == "close"
    dialog = page.find("#enlarged")
    assert dialog.is_displayed() and dialog.size["height"] > 700
    np.testing.assert_array_equal(page.pixels("#large"), page.pixels())
    page.press(Keys.ESCAPE)
    assert not dialog.is_displayed()


def test_seeds_and_links_that_name_nothing_are_told(page):
    for text in ("1, 2, 3", "1 2", "5,", "0x10", "1e3", "-1", "4294967296"):
        page.type_seed(text)
        assert "whole number from 0 to 4294967295" in page.find("#said").text, text
        assert page.find("#seed").get_property("value") == "5"
        page.run("say('')")
    wrong = ["seed=", "seed=1e99", "seed=0x10", "seed=1&truncation=0", "seed=1,2&at=0,"]
    for link in wrong:
        page.run("say(''); location.hash = arguments[0]", link)
        page.wait_until(lambda: "names no picture" in page.find("#said").text)
        assert page.link() == "#seed=5", link
    assert page.settled(lambda: page.type_seed(" 7 , 8")) == "#seed=7,8&at=0,0"
    assert page.find("#said").text == ""


def test_other_seeds_keep_the_truncation_and_the_place_in_a_mixture(page):
    page.settled(lambda: page.type_seed("#seed=1,2,3,4&at=0.3,0.8&truncation=1.2"))
    link = page.settled(lambda: page.type_seed("5,6,7,8"))
    assert link == "#seed=5,6,7,8&at=0.3,0.8&truncation=1.2"
    link = page.settled(lambda: page.type_seed("9, 8"))
    assert link == "#seed=9,8&at=0,0&truncation=1.2"
    link = page.settled(lambda: page.click("#others"))
    assert re.match(r"#seed=9,(?!8&)\d+&at=0,0&truncation=1.2$", link)


@pytest.mark.parametrize("before", ["", "#", "file:///home/a,b=c/explore.html#"])
def test_a_link_typed_into_the_seed_field_is_opened(page, before):
    link = page.settled(lambda: page.type_seed(f"{before}seed=9,8&at=0.5,0"))
    assert link == "#seed=9,8&at=0.5,0"
    assert page.find("#seed").get_property("value") == "9, 8"
    page.type_seed("#seed=x")
    assert "names no picture" in page.find("#said").text


@pytest.mark.parametrize("truncation", [0.1, 5])
def test_a_page_takes_every_truncation_of_the_command_line(
    chromium, generator, model, tmp_path, truncation
):
    path = write(tmp_path / "page.html", generator, model, truncation)
    page = Explorer(chromium, path)
    own = f"#seed=5&truncation={truncation}"
    assert page.link() == own
    value, least, most = page.run(
        "const e = element('truncation'); return [e.value, e.min, e.max].map(Number)"
    )
    assert value == truncation / 0.05 and least <= value < most
    page.settled(lambda: page.click("#another"))
    assert page.settled(lambda: page.click("#back")) == own
    page = Explorer(chromium, path, link=own)
    assert page.find("#said").text == ""
    page.find("#truncation").send_keys(Keys.END)
    page.wait_until(lambda: page.link() == "#seed=5")
    assert page.console() == []


def test_a_copied_link_opens_the_same_picture(page):
    page.type_seed("#seed=3&truncation=0.5")
    page.wait_until(lambda: page.link() == "#seed=3&truncation=0.5")
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text }")
    page.click("#copy")
    page.wait_until(lambda: page.find("#said").text == COPIED)
    copied = page.run("return window.copied")
    end = f"#seed=3&truncation=0.5&of={quote(HOSTILE, safe='')}@1000"
    assert copied == page.browser.current_url.split("#")[0] + end
    page.settled(lambda: page.click("#another"))
    assert page.settled(lambda: page.type_seed(copied)) == "#seed=3&truncation=0.5"
    page.run("navigator.clipboard.writeText = () => Promise.reject()")
    page.click("#copy")
    page.wait_until(lambda: page.find("#said").text.endswith(end))


def test_a_link_to_another_generators_picture_says_so(page, chromium, file):
    page.settled(lambda: page.type_seed("#seed=3&of=roses@2000"))
    page.wait_until(lambda: "That link is of roses@2000" in page.find("#said").text)
    page.settled(lambda: page.run("location.hash = '#seed=4&of=roses@2000'"))
    page.wait_until(lambda: "That link is of roses@2000" in page.find("#said").text)
    page.settled(
        lambda: page.run("location.hash = '#seed=5&of=' + encodeURIComponent(OWN)")
    )
    assert page.find("#said").text == ""
    page = Explorer(chromium, file, link="#seed=3&of=roses@2000")
    assert "That link is of roses@2000" in page.find("#said").text


def test_the_steps_of_one_slider_are_one_entry_of_what_was_seen(page):
    slider = page.find("#move-0")
    page.run("performance.now = () => 1e6")
    for _ in range(3):
        page.settled(lambda: slider.send_keys(Keys.ARROW_RIGHT))
    page.run("performance.now = () => 2e6")
    page.settled(lambda: slider.send_keys(Keys.ARROW_RIGHT))
    page.settled(lambda: page.find("#move-1").send_keys(Keys.ARROW_LEFT))
    seen = page.run("return view.seen.map(({ picture }) => picture.moves.slice(0, 2))")
    page.run("delete performance.now")
    assert seen == [[0, 0], [0.3, 0], [0.4, 0], [0.4, -0.1]]


def test_a_finger_on_a_phone_mixes_four_pictures_and_moves_a_slider(chromium, file):
    page = Explorer(chromium, file, PHONE, "#seed=1,2,3,4&at=0,0")
    emulate = "Emulation.setTouchEmulationEnabled"
    chromium.execute_cdp_cmd(emulate, {"enabled": True})
    try:
        page.wait_until(lambda: page.pixels("#square")[-1, -1].any())
        square = page.pixels("#square")
        left, top, width, height = page.box("#pad")
        start = (left + width * 0.1, top + height * 0.1)
        end = (left + width * 0.9, top + height * 0.9)
        middle = (left + width / 2, top + height / 2)
        handle = "return [element('handle').style.left, element('across').value]"

        def follows():
            page.wait_until(lambda: page.run("return view.picture.at[0] === 1"))
            assert page.run(handle) == ["90%", "1"]
            assert page.link() == "#seed=1,2,3,4&at=0,0"

        page.settled(lambda: page.touch(start, middle, end, before_lifting=follows))
        assert page.link() == "#seed=1,2,3,4&at=1,1"
        assert np.abs(page.pixels() - square[-SIZE:, -SIZE:]).max() <= 1
        # A finger that the system takes away leaves the address with the picture.
        page.dispatch("touchStart", [dict(zip("xy", end, strict=True))])
        page.dispatch("touchMove", [dict(zip("xy", middle, strict=True))])
        page.wait_until(lambda: page.run("return view.picture.at[0] === 0.5"))
        page.settled(lambda: page.dispatch("touchCancel", []))
        assert page.link() == "#seed=1,2,3,4&at=0.5,0.5"
        # The picture is in sight while fingers are on the square.
        assert (
            page.run(
                "return document.querySelector('#picture').getBoundingClientRect().top"
            )
            >= 0
        )
        left, top, width, height = page.box("#strip-1")
        page.settled(lambda: page.tap(left + width * 0.93, top + height / 2))
        assert page.link().endswith("moves=0,3,0,0,0,0,0,0")
    finally:
        chromium.execute_cdp_cmd(emulate, {"enabled": False})


@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_and_does_not_jump(chromium, file, size):
    page = Explorer(chromium, file, size, "#seed=5")
    page.wait_until(lambda: page.pixels("#strip-7")[:, -1].any())
    assert page.run("return document.documentElement.scrollWidth") <= size[0]
    shifts = page.browser.execute_async_script(
        "const done = arguments[0]; let sum = 0;"
        "new PerformanceObserver((l) => l.getEntries().forEach((e) => sum += e.value))"
        ".observe({type: 'layout-shift', buffered: true});"
        "setTimeout(() => done(sum), 200)"
    )
    assert shifts == 0
    for selector in ("#picture", "#another", "#copy"):
        left, top, width, height = page.box(selector, scroll=False)
        assert top + height <= size[1], selector
    assert page.box("#picture", scroll=False)[2] > 180
    page.settled(lambda: page.click("[name=corners][value='4']"))
    for selector in ("#seed", "#truncation", "#across", "#move-0"):
        assert page.box(selector)[2] > 180, selector
    # The picture, and what is said, stay in sight while what is below is moved.
    page.box("#strip-7")
    page.run("say('a message')")
    for selector in ("#picture", "#said"):
        left, top, width, height = page.box(selector, scroll=False)
        assert top >= 0 and width > 0 and top + height <= size[1], selector
    if size in (PHONE, LYING):  # where buttons would take the room of what is below
        left, top, width, height = page.box("#another", scroll=False)
        assert top + height < 0
    assert page.run("return document.documentElement.scrollWidth") <= size[0]


def test_keys_work_wherever_the_focus_is_but_in_a_text_field(page):
    page.settled(lambda: page.press("N"))
    page.settled(lambda: page.find("#move-0").send_keys(Keys.END))
    link = page.settled(lambda: page.press("n"))
    page.settled(lambda: page.press(Keys.ARROW_RIGHT))
    assert page.link() == link + "&moves=0.1,0,0,0,0,0,0,0"
    page.settled(lambda: page.find("[name=corners]").send_keys(Keys.ARROW_RIGHT))
    assert page.find("[name=corners][value='2']").is_selected()
    page.settled(lambda: page.press("n"))
    link = page.link()
    page.find("#seed").send_keys("n", Keys.ARROW_LEFT)
    time.sleep(0.2)
    assert page.link() == link
    assert page.find("#seed").get_property("value").endswith("n")


def test_stepping_through_what_was_seen_keeps_the_focus(page):
    focus = "const e = document.activeElement; return e.id || e.ariaLabel"
    for _ in range(2):
        page.settled(lambda: page.press("n"))
    page.run("document.querySelector('#seen button').focus()")
    assert page.settled(lambda: page.press(Keys.ENTER)) == "#seed=5"
    assert page.run(focus) == "Picture 1 of 3"
    page.run("element('forward').focus()")
    for _ in range(2):
        page.settled(lambda: page.press(Keys.ENTER))
    assert page.run(focus) == "forward"
    assert page.find("#forward").get_attribute("aria-disabled") == "true"
    link = page.link()
    page.press(Keys.ENTER)
    time.sleep(0.2)
    assert page.link() == link


def test_a_screen_reader_hears_meanings_and_not_every_frame(page):
    page.settled(lambda: page.type_seed("#seed=1,2,3,4&at=0.5,0.25&truncation=1.2"))
    page.settled(lambda: page.find("#move-1").send_keys(Keys.END))
    spoken = "return element(arguments[0]).ariaValueText"
    for control, words in {
        "across": "50 % to the right",
        "down": "25 % down",
        "truncation": "at most 1.2 standard deviations",
        "move-1": "+3.0 standard deviations",
    }.items():
        assert page.run(spoken, control) == words
    outputs = page.browser.find_elements(By.CSS_SELECTOR, "output")
    assert {output.get_attribute("aria-live") for output in outputs} == {"off"}
    page.settled(lambda: page.type_seed("5"))
    changes = page.browser.execute_async_script(
        "const done = arguments[0]; let changes = -1, frames = 0;"
        "const observer = new MutationObserver((all) => changes += all.length);"
        "const wanted = {attributes: true, childList: true, characterData: true};"
        "for (const e of document.querySelectorAll('output, input'))"
        "observer.observe(e, {...wanted, subtree: true});"
        "element('walk').click(); element('truncation').title = 'the one change';"
        "const look = () => ++frames < 30 ? requestAnimationFrame(look)"
        " : done([changes, view.picture.at[0]]); look();"
    )
    assert changes[0] == 0 and changes[1] > 0
    page.run("stopWalk()")


def test_every_control_has_a_name_and_can_be_reached_by_keys(page):
    page.settled(lambda: page.click("[name=corners][value='4']"))
    controls = page.browser.find_elements(By.CSS_SELECTOR, "main button, main input")
    assert len(controls) > 20
    for control in controls:
        assert control.accessible_name, control.get_attribute("outerHTML")
        assert control.get_attribute("tabindex") in (None, "0")


def test_what_was_written_is_told_with_size_and_address(generator, tmp_path, capsys):
    options = SimpleNamespace(seed=0, truncation=None, labels=())
    chosen = SimpleNamespace(
        weights=None,
        run=SimpleNamespace(name="a"),
        config=Config(run={"name": "a"}),
        iteration=1,
        average="",
        file=tmp_path,
    )
    page, model = tmp_path / "a b.html", tmp_path / "a.keras"
    write_explorer(generator, options, chosen, page)
    write_keras(generator, options, chosen, model)
    told = capsys.readouterr().out
    assert re.search(rf"wrote {re.escape(str(page))} \(\d\.\d MB\)\n", told)
    assert f"open it in a browser: file://{tmp_path}/a%20b.html\n" in told
    assert re.search(rf"wrote {re.escape(str(model))} \(\d\.\d MB\)\n", told)


def test_the_engine_is_the_package_that_it_says():
    origin = json.loads(ENGINE_ORIGIN.read_text())
    assert set(origin["sha256"]) == {origin["script"], origin["binary"]}
    for name, sha256 in origin["sha256"].items():
        assert hashlib.sha256(gzip.decompress(engine_file(name))).hexdigest() == sha256
    script = gzip.decompress(engine_file(origin["script"])).decode()
    assert f"ONNX Runtime Web v{origin['version']}" in script[:200]
    assert "Licensed under the MIT License" in script[:200]
    assert (ENGINE / "LICENSE").read_text().startswith("MIT License")
