"""Tests what evaluate.py says of each class, on a tiny run that knows classes."""

import json

import numpy as np
import pytest
from tiny_run import TINY, train_in

import evaluate
from commands.chosen import choose
from commands.loading import load_ema_generator
from commands.metric_card import classes_table
from data.flowers.species import SPECIES
from metrics.features import load_extractor
from metrics.kernel import squared_discrepancy
from records.run_folder import RunFolder
from training.chance import latents_of
from training.pictures import Painter, class_weights

RUN, NUM_CLASSES, PER_CLASS = "tiny-classes", len(SPECIES), 11
RANDOM = ("--extractor", "random", "--num_images", "20")
EACH = ("--per_class", str(PER_CLASS))
CARD = f"card-0000002-random-20-classes{PER_CLASS}.json"


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory):
    """Returns a working directory in which a tiny run with classes was trained."""
    folder = tmp_path_factory.mktemp("classes")
    data = TINY["data"] | {"num_images": 220}
    train_in(
        folder,
        run={"name": RUN},
        data=data,
        model=TINY["model"] | {"conditional": True},
        training=TINY["training"] | {"total_iterations": 2},
    )
    return folder


@pytest.fixture
def samples(trained_folder, monkeypatch):
    monkeypatch.chdir(trained_folder)
    return RunFolder(RUN).samples


@pytest.fixture(scope="module")
def card(trained_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained_folder)
        assert evaluate.main([RUN, *RANDOM, *EACH]) == 0
        path = (
            RunFolder(RUN).samples / f"card-0000002-random-20-classes{PER_CLASS}.json"
        )
        return json.loads(path.read_text())


def photographs_of(folder):
    """Returns the photographs and their labels, from the cache."""
    (about,) = (folder / "cache").glob("drawn-*.json")
    images = np.load(about.with_suffix(".npy"))
    return images, np.array(json.loads(about.read_text())["labels"])


def test_a_card_has_numbers_for_each_class(card):
    rows = card["classes"]["of"]
    few = card["classes"]["too_few_photographs"]
    assert sorted([row["name"] for row in rows] + few) == sorted(SPECIES)
    assert all(row["num_photographs"] >= 10 for row in rows)
    assert card["classes"]["images_of_each"] == PER_CLASS
    kernel = [row["kd"] for row in rows]
    worst = rows[int(np.argmax(kernel))]
    metrics, floor = card["metrics"], card["floor"]
    assert metrics["class_kd_median_random"] == pytest.approx(np.median(kernel))
    assert metrics["class_kd_worst_random"] == worst["kd"]
    assert floor["class_kd_worst_random"] == worst["kd_floor"]
    for values, key in ((metrics, "accuracy"), (floor, "accuracy_floor")):
        mean = np.mean([row[key] for row in rows])
        assert values["accuracy_random"] == pytest.approx(mean)
    diversity = np.median([row["diversity"] for row in rows])
    assert metrics["class_diversity_median_random"] == pytest.approx(diversity)
    assert floor["class_diversity_median_random"] == 1


def test_a_class_is_compared_with_images_made_as_that_class(card, samples):
    chosen = choose(RUN, "latest")
    names = list(chosen.config.model.classes)
    judged = [names.index(row["name"]) for row in card["classes"]["of"]]
    count = len(judged) * PER_CLASS
    latents = latents_of(0, count, chosen.config.model.latent_dim, "class latents")
    labels = np.repeat(judged, PER_CLASS)
    weights = class_weights(labels, len(names))
    fakes = Painter(load_ema_generator(chosen)).images_of(latents, weights)
    images, known = photographs_of(samples.parents[1])
    extract = load_extractor("random")
    for place, row in enumerate(card["classes"]["of"]):
        own = fakes[labels == judged[place]]
        real = images[known == judged[place]]
        assert row["num_photographs"] == len(real)
        fake, real = (extract(x).astype(np.float64) for x in (own, real))
        expected = squared_discrepancy(fake, real)
        assert row["kd"] == pytest.approx(expected, rel=1e-6)


def test_the_photographs_of_drawn_species_are_told_apart(card):
    assert card["floor"]["accuracy_random"] > 3 / NUM_CLASSES


def test_a_second_card_takes_the_probes_of_the_first(card, samples, capsys):
    (probes,) = (samples.parents[1] / "cache").glob("probes-*.npz")
    path = samples / CARD
    before = probes.read_bytes()
    for damage in (None, b"", b"no probes", before[:-60]):
        if damage is not None:
            probes.write_bytes(damage)
        time = probes.stat().st_mtime_ns
        assert evaluate.main([RUN, *RANDOM, *EACH]) == 0
        assert (probes.stat().st_mtime_ns == time) == (damage is None)
        again = json.loads(path.read_text())
        assert again["metrics"] == card["metrics"] and again["floor"] == card["floor"]
        assert again["classes"] == card["classes"]
    assert (
        "recognized as the class they were made of (photographs"
        in capsys.readouterr().out
    )


def test_a_card_in_markdown_has_a_table_of_the_classes(card, samples):
    text = (samples / card["markdown"]).read_text()
    assert "## Classes" in text and f"{PER_CLASS} pictures of each class" in text
    for row in card["classes"]["of"]:
        assert f"| {row['name']} | {row['num_photographs']} | " in text
    assert f"--per_class {PER_CLASS}" in card["command"]


def test_the_whole_is_measured_the_same_without_classes(card, samples, tmp_path):
    out = ("--out", str(tmp_path))
    assert evaluate.main([RUN, *RANDOM, "--per_class", "0", *out]) == 0
    (path,) = tmp_path.glob("*.json")
    alone = json.loads(path.read_text())
    assert "classes" not in alone
    assert alone["metrics"].items() < card["metrics"].items()
    assert "accuracy_random" not in alone["metrics"]


def test_the_usual_number_of_images_is_bounded(samples):
    from commands.evaluate_options import usual_per_class

    chosen = choose(RUN, "latest")
    for num_classes, expected in ((2, 50), (200, 50), (400, 25), (5000, 10)):
        names = [f"{n}" for n in range(num_classes)]
        chosen.config.model.classes[:] = names
        assert usual_per_class(chosen) == expected


@pytest.mark.parametrize("count", ["-1", "9"])
def test_a_number_of_images_that_is_too_small_is_refused(samples, count, capsys):
    assert evaluate.main([RUN, *RANDOM, "--per_class", count]) == 2
    assert "expected: 0, or a whole number, 10 or more" in capsys.readouterr().err


def test_a_long_table_lists_the_farthest_and_the_nearest_classes():
    rows = [
        {
            "name": f"class {n}",
            "num_photographs": 40,
            "kd": n / 10,
            "kd_floor": 0.1,
            "accuracy": 0.5,
            "accuracy_floor": 0.75,
        }
        for n in range(102)
    ]
    rows[101] |= {"name": "a|b", "diversity": 0.123}
    lines = classes_table(rows).splitlines()[2:]
    assert lines[0] == "| a\\|b | 40 | 10.1 | 0.1 | 50% | 75% | 0.12 |"
    assert lines[14].startswith("| class 87 |") and lines[16].startswith("| class 14 |")
    assert lines[15].startswith("| ... 72 others")
    assert len(lines) == 31 and lines[-1] == "| class 0 | 40 | 0 | 0.1 | 50% | 75% |  |"
