"""How config files are read as YAML: its mistakes in words, and none of its traps."""

import pathlib

import pytest

from settings.config_file import ConfigError, load_config

NAMED = "run: {name: flowers}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Works in an empty folder, so that messages name files without one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text, *overrides):
    pathlib.Path("mine.yaml").write_text(text, encoding="utf-8")
    return load_config("mine.yaml", list(overrides))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "mine.yaml:1: the file is empty"),
        ("# nothing\n", "mine.yaml:1: the file is empty"),
        ("---\n", "mine.yaml:1: the file is empty"),
        ("- run\n", "mine.yaml:1: not a config"),
        ("flowers\n", "found:    text"),
        ("run: [1\n", "mine.yaml:1: not valid YAML"),
        ("run:\n\tname: x\n", "YAML indents with spaces, not tabs"),
        ("run:\n  name: a: b\n", "mine.yaml:2: not valid YAML: mapping values"),
        (
            "run: {name: a}\n---\nrun: {name: b}\n",
            "single document in the stream, but found",
        ),
        ("run:\n  name: 'a\x07'\n", "mine.yaml:2: the character #x0007"),
        ("run: &r {name: a}\ndata: *r\n", "mine.yaml:2: not valid YAML: *r refers"),
        ("run: !!python/name:os.system a\n", "the tag tag:yaml.org"),
        ("run: {name: a}\n<<: {data: 1}\n", "mine.yaml:2: <<: merge keys are not"),
        ("run: {name: a}\n? [1, 2]\n: 3\n", "mine.yaml:2: a key must be a word"),
        ("[" * 5000, "nested too deeply"),
        (NAMED + "loss: {}\nloss: {}\n", "mine.yaml:3: loss: given twice"),
    ],
)
def test_the_words_of_a_mistake(folder, text, expected):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert expected in str(caught.value)


def test_a_byte_order_mark_is_no_mistake(folder):
    pathlib.Path("mine.yaml").write_bytes(b"\xef\xbb\xbf" + NAMED.encode())
    assert load_config("mine.yaml").run.name == "flowers"


@pytest.mark.parametrize(
    "name", ["0123", "123", "1e3", "2024-01-01", "no", "true", "'null'"]
)
def test_a_name_is_the_text_that_was_written(folder, name):
    assert load(f"run: {{name: {name}}}\n").run.name == name.strip("'")
    assert load(NAMED, f"run.name={name}").run.name == name.strip("'")


@pytest.mark.parametrize("number", ["2e-4", "2.0e-4", "0.0002", ".0002", "'2e-4'"])
def test_a_number_may_be_written_in_any_way(folder, number):
    config = load(NAMED + f"optimizer: {{learning_rate: {number}}}\n")
    assert config.optimizer.learning_rate == 2e-4
