"""Config files: what they may say, and the words of every mistake."""

import pathlib
import textwrap

import pytest

from settings.config import Config
from settings.config_file import (
    ConfigError,
    config_path,
    load_config,
    load_stored_config,
    resolved_yaml,
)

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PRESETS = sorted((REPOSITORY / "configs").glob("*.yaml"))
NAMED = "run: {name: flowers}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Works in an empty folder, so that messages name files without one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text, *overrides):
    pathlib.Path("mine.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
    return load_config("mine.yaml", list(overrides))


def words(text, *overrides):
    """Returns the message about a config's mistakes."""
    with pytest.raises(ConfigError) as caught:
        load(text, *overrides)
    assert caught.value.status == 2
    return str(caught.value)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_loads_and_opens_with_its_command(path):
    load_config(path)
    command = f"# python train.py --config configs/{path.name}"
    assert path.read_text(encoding="utf-8").startswith(command)


def test_all_mistakes_are_told_at_once_in_the_words_of_the_house(folder):
    text = """\
    run:
      name: mine
    model:
      latent_dim: 128
      latent_dim: 64
    optimizer:
      lerning_rate: 2e-4
      generator:
        beta_1: 1.0
    loss:
      name: hinged
    training:
      batch_size: many
      total_iterations: 1e3
    """
    expected = """\
    mine.yaml:5: model.latent_dim: given twice (first on line 4)
    mine.yaml:7: optimizer.lerning_rate: unknown key
      expected: one of beta_1, beta_2, bias_rate, clipnorm, clipvalue, \
damping_scale, ...
      nearest:  optimizer.learning_rate
    mine.yaml:9: optimizer.generator.beta_1
      expected: a number from 0 to 0.999999
      found:    1.0
    mine.yaml:11: loss.name
      expected: one of relativistic, non_saturating, hinge, wasserstein
      found:    text 'hinged'
      nearest:  hinge
    mine.yaml:13: training.batch_size
      expected: a whole number from 1 to 65,536
      found:    text 'many'
    mine.yaml:14: training.total_iterations
      expected: a whole number from 1 to 1,000,000,000
      found:    1e3 (write 1000)
    --set runtime.device=gpus: runtime.device
      expected: one of auto, cpu, gpu
      found:    text 'gpus'
      nearest:  gpu"""
    found = words(text, "runtime.device=gpus")
    assert found == textwrap.dedent(expected)


def test_layers_are_judged_beside_other_mistakes_of_data_and_model(folder):
    found = words(
        NAMED + "data: {image_size: 256, sourc: tfds}\n"
        "model: {num_layers: 26, latent_dim: 0}\n"
    )
    assert "mine.yaml:2: data.sourc: unknown key" in found
    assert "mine.yaml:3: model.latent_dim" in found
    assert "34, 38, 42, ... (6, and 4 a block; 256 pixels take 7 blocks)" in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: {}\n", "mine.yaml:1: run.name: missing\n  expected: 1 to 64 letters"),
        ("run:\n", "mine.yaml:1: run.name: missing"),
        ("run:\n  name:\n", "mine.yaml:2: run.name\n  expected: 1 to 64 letters"),
        ("run:\n  name: .x\n", "not index.html\n  found:    text '.x'"),
        ("run:\n  name: Index.HTML\n", "and not index.html\n  found:    text 'Index"),
        (NAMED + "data: 3\n", "mine.yaml:2: data\n  expected: keys with values"),
        (NAMED + "data: [source]\n", "found:    a list"),
        (NAMED + "trainings: {}\n", "unknown key\n  expected: one of augment, data"),
        (NAMED + "trainings: {}\n", "nearest:  training"),
        (NAMED + "training: {batch_size: }\n", "from 1 to 65,536\n  found:    nothing"),
        (
            NAMED + "training: {keep_last: 010}\n",
            "'010' (a number has no leading zero)",
        ),
        (NAMED + "training: {max_minutes: 12:30}\n", "found:    text '12:30'"),
        (NAMED + "training: {max_minutes: .inf}\n", "found:    .inf"),
        (NAMED + "training: {batch_size: 1.5}\n", "found:    1.5"),
        (NAMED + "training: {batch_size: true}\n", "found:    true"),
        (NAMED + f"training: {{batch_size: {'9' * 5000}}}\n", "999..."),
        (NAMED + "training: {learning_rate: 1}\n", "nearest:  optimizer.learning_rate"),
        (
            NAMED + "training: {penalty_every_iterations: 1}\n",
            "nearest:  loss.penalty_every_iterations",
        ),
        (NAMED + "batch_size: 1\n", "nearest:  training.batch_size"),
        (NAMED + "loss.gamma: 1\n", "nearest:  gamma, indented, on a line below loss:"),
        (
            NAMED + "data: {horizontal_flip: no}\n",
            "true or false\n  found:    text 'no'",
        ),
        (NAMED + "data: {source: folder}\n", "mine.yaml:2: data.path"),
        (NAMED + "augment: {max_probability: 0.1}\n", "found:    0.2 (the default)"),
        (NAMED + "augment: {operations: [cutot]}\n", "augment.operations.0"),
        (
            NAMED + "augment: {operations: flip}\n",
            "expected: a list of one or more of flip, translation, ",
        ),
        (NAMED + "augment: {operations: []}\n", "found:    an empty list"),
        (NAMED + "debug: {inject_spikes: [{iteration: 3}]}\n", "0.network: missing"),
        (
            NAMED + "debug: {inject_spikes: [{iteration: 3, factr: 3}]}\n",
            "nearest:  debug.inject_spikes.0.factor",
        ),
        (NAMED + "optimizer: {generator: 3}\n", "expected: keys with values, such as "),
        (NAMED + "optimizer: {generator: {clip: 3}}\n", "optimizer.generator.clipnorm"),
    ],
)
def test_the_words_of_a_mistake(folder, text, expected):
    assert expected in words(text)


def test_files_that_cannot_be_read_are_named(folder):
    pathlib.Path("flowers.yaml").write_text(NAMED, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config("flower.yaml")
    assert str(caught.value) == "flower.yaml: no such file\n  nearest:  flowers.yaml"
    with pytest.raises(ConfigError, match="a folder, not a config file"):
        load_config(folder)
    pathlib.Path("mine.yaml").write_bytes(b"run:\n  name: caf\xe9\n")
    with pytest.raises(ConfigError, match="mine.yaml:2: not UTF-8 text"):
        load_config("mine.yaml")


def test_a_section_without_keys_has_its_defaults(folder):
    assert load(NAMED + "loss:\n").loss == Config(run={"name": "x"}).loss


def test_keys_of_what_is_not_chosen_are_ignored(folder):
    config = load(
        NAMED + "data: {source: drawn, path: x, splits: test}\n"
        "optimizer: {name: sgd, beta_1: 0.5, schedule_iterations: 10}\n"
    )
    assert config.data.path == "x"


@pytest.mark.parametrize(
    ("source", "override", "owner"),
    [
        ("drawn", "data.path=photos", "folder"),
        ("tfds", "data.num_images=64", "drawn"),
        ("folder, path: here", "data.splits=test", "tfds"),
    ],
)
def test_an_override_that_the_source_ignores_is_refused(
    folder, source, override, owner
):
    text = f"{NAMED}data: {{source: {source}}}\n"
    key = override.partition("=")[0]
    assert f"--set {override}: {key}: would not be used" in words(text, override)
    assert f"cure:     add --set data.source={owner}" in words(text, override)
    cure = f"data.source={owner}"
    more = ["data.path=photos"] if owner == "folder" else []
    assert load(text, override, cure, *more).data.source == owner


def test_an_override_that_takes_away_what_the_source_ignores_is_fine(folder):
    assert load(NAMED + "data: {path: x}\n", "data.path=null").data.path is None


def test_a_key_of_the_file_that_its_source_ignores_is_said_aloud(folder):
    text = NAMED + "data:\n  path: roses\n"
    pathlib.Path("own.yaml").write_text(text, encoding="utf-8")
    said = []
    load_config("own.yaml", say=said.append)
    assert said == [
        "warning: own.yaml:3: data.path is ignored, as data.source is tfds; "
        "to use it: --set data.source=folder"
    ]
    beside = NAMED + "data: {source: drawn, path: roses, splits: test}\n"
    pathlib.Path("beside.yaml").write_text(beside, encoding="utf-8")
    load_config("beside.yaml", say=said.append)
    assert len(said) == 2 and "beside.yaml:2: data.path is ignored" in said[1]
    chosen = []
    load_config("own.yaml", ["data.source=drawn"], chosen.append)  # he knows
    load_config("own.yaml", ["data.source=folder"], chosen.append)
    pathlib.Path("run.yaml").write_text(resolved_yaml(load(NAMED)), encoding="utf-8")
    load_config("run.yaml", say=chosen.append)
    assert chosen == []


def test_a_preset_is_found_by_its_name(folder):
    pathlib.Path("configs").mkdir()
    for name in ("demo", "flowers-64"):
        pathlib.Path(f"configs/{name}.yaml").write_text(NAMED, encoding="utf-8")
    assert config_path("demo") == "configs/demo.yaml"
    assert config_path("demo.yaml") == "configs/demo.yaml"
    assert config_path("configs/demo.yaml") == "configs/demo.yaml"
    assert config_path("elsewhere/demo") == "elsewhere/demo"
    pathlib.Path("demo.yaml").touch()
    assert config_path("demo.yaml") == "demo.yaml"  # the user's own
    with pytest.raises(ConfigError) as caught:
        load_config(config_path("flower64"))
    assert str(caught.value).splitlines() == [
        "flower64: no such file",
        "  expected: a file, or a preset: demo, flowers-64",
        "  nearest:  flowers-64",
    ]


def test_overrides_win_and_the_last_one_most(folder):
    config = load(
        NAMED + "training: {batch_size: many}\noptimizer: {generator: }\n",
        "training.batch_size=4",
        "training.batch_size=8",
        "optimizer.generator.learning_rate=2e-4",
        "optimizer.discriminator={beta_1: 0.5}",
        "augment.operations=[flip, cutout]",
        "data.source=folder",
        "data.path=photos #1",
        "debug.inject_spikes=[{iteration: 3, network: generator, factor: .inf}]",
        "run.name = 'other'",
    )
    assert config.training.batch_size == 8
    assert config.optimizer.for_network("generator").learning_rate == 2e-4
    assert config.optimizer.for_network("discriminator").beta_1 == 0.5
    assert config.augment.operations == ["flip", "cutout"]
    assert config.data.path == "photos #1"
    assert config.debug.inject_spikes[0].factor == float("inf")
    assert config.run.name == "other"


def test_an_override_may_take_a_value_away(folder):
    config = load(
        NAMED + "training: {max_minutes: 3}\ndata: {path: x}\n",
        "training.max_minutes=null",
        "data.path=",
    )
    assert config.training.max_minutes is None
    assert config.data.path is None


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.batch_size", "batch_size: no key and value\n  expected: KEY=VALUE"),
        ("=3", "--set =3: no key and value"),
        ("training=3", "--set training=3: training: a whole section"),
        ("training.batchsize=3", "--set training.batchsize=3: training.batchsize: unk"),
        ("training.batchsize=3", "nearest:  training.batch_size"),
        ("batch_size=3", "nearest:  training.batch_size"),
        ("trainin.x=3", "--set trainin.x=3: trainin: unknown key"),
        ("training.batch_size=0", "from 1 to 65,536\n  found:    0"),
        ("training.batch_size.x=0", "from 1 to 65,536\n  found:    keys with values"),
        ("training.batch_size=[1", "training.batch_size: not valid YAML"),
        ("training.batch_size=1: 2: 3", "training.batch_size: not valid YAML"),
        ("training.batch_size=", "from 1 to 65,536\n  found:    nothing"),
        ("optimizer.generator.beta_1=1", "optimizer.generator.beta_1\n  expected: a n"),
        ("optimizer.schedule=cosine", "optimizer.schedule_iterations\n  expected: a w"),
        ("augment.operations.0=flip", "found:    keys with values"),
        ("run.name={a: 1, a: 2}", "run.name\n  expected: 1 to 64"),
        ("optimizer.generator={beta_1: 0, beta_1: 0}", "beta_1: given twice"),
    ],
)
def test_the_words_of_a_mistaken_override(folder, override, expected):
    assert expected in words(NAMED + "training: {batch_size: 16}\n", override)


def test_an_overridden_list_is_not_looked_for_in_the_file(folder):
    found = words(
        NAMED + "debug:\n  inject_spikes:\n"
        "  - {iteration: 1, network: generator, factor: 1}\n",
        "debug.inject_spikes=[{network: generator, factor: 1}]",
    )
    assert found.startswith("--set debug.inject_spikes=[")
    assert "]: debug.inject_spikes.0.iteration: missing\n" in found


def test_a_mistaken_section_is_told_although_a_key_in_it_is_overridden(folder):
    assert "mine.yaml:2: loss\n" in words(NAMED + "loss: 3\n", "loss.gamma=1")


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["run.name=0123", "data.source=folder", "data.path=C: #\u00e9 " + "long " * 30],
        ["optimizer.generator={learning_rate: 1e-5, clipnorm: null}"],
        ["optimizer.learning_rate=1.2345678901234567e-300"],
        ["runtime.deterministic=false", "augment.operations=[flip]"],
        ["debug.inject_spikes=[{iteration: 3, network: generator, factor: -.inf}]"],
    ],
)
def test_a_resolved_config_reads_back_as_itself(folder, overrides):
    config = load(NAMED, *overrides)
    text = resolved_yaml(config)
    path = pathlib.Path("config.yaml")
    path.write_text(text, encoding="utf-8")
    assert load_stored_config(path) == config
    assert resolved_yaml(load_stored_config(path)) == text


def test_a_resolved_config_names_every_key(folder):
    text = resolved_yaml(load(NAMED))
    for section, field in Config.model_fields.items():
        assert f"\n{section}:\n" in text
        for key in field.annotation.model_fields:
            assert f"\n  {key}:" in text


def test_a_resolved_override_has_only_the_keys_it_was_given(folder):
    text = resolved_yaml(load(NAMED, "optimizer.generator.beta_1=0.5"))
    assert "\n  generator:\n    beta_1: 0.5\n  discriminator: null\n" in text


def test_a_damaged_stored_config_says_what_can_be_done(folder):
    pathlib.Path("config.yaml").write_text("run: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="config.yaml:1: run\n(.|\n)*--fresh moves"):
        load_stored_config("config.yaml")
