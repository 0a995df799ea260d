"""Configs that nobody would write: each is valid, or a message with its place.

They are made of the real keys, with values, structures and bytes wrong in many ways.
"""

import itertools
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from settings.complaints import ConfigError
from settings.config import Config
from settings.config_file import load_config, resolved_yaml

IS_FAULT = pytest.mark.fault("mutated configs")
SECONDS = 2  # of the processor, that a config takes at most
FUZZ = settings(
    derandomize=True,  # the same cases everywhere
    database=None,
    deadline=None,  # a busy machine is no mistake; see SECONDS
    suppress_health_check=list(HealthCheck),
)


def keys_of(model, above=()):
    """Yields the path of every key of the schema, and its default."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        below = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        for kind in below:
            yield from keys_of(kind, (*above, name))
        if not below:
            yield (*above, name), field.default


DEFAULTS = dict(keys_of(Config))
KEYS = [path for path in DEFAULTS if len(path) > 1]
assert len(KEYS) > 100, "the schema is read wrongly"

CHOICES = """
tfds folder drawn adam log_sgd lion cosine constant adaptive fixed none hinge own same
wasserstein auto xla cpu mobilenetv2 inception-fid legacy clean rms true false null
""".split()
NUMBERS = """
0 1 2 -1 6 46 50 4002 32 64 65536 65537 1000000000 1e-30 1e9 1e300 1e308 1e400 -1e400
1e-400 0.5 .5 5. 1.0 -0.0 1_000 1__0 0x1F 0o17 0b1 0123 12:30 1:2:3 1,5 +1 --1 1e 2e-4
2E+4 .inf -.inf .nan .NaN inf 9223372036854775808 1000000000000000000000000000000
10000000000000000000000000000000 11579208923731619542357098500868790785326998466564056
""".split()
SCALARS = r"""
~|null|Null|yes|no|off|True|TRUE|''|""|"a"|'it''s'|"\x00"|"\ud800"|"\udc80\U0010ffff"
"\e[31m"|"\|"|'|"\q"|"\u00"|"\N\L\P\_"|2026-11-28|2026-11-28T18:30:00Z|!!str 1|!!int a
!!binary aGk=|!!python/object/apply:os.system [ls]|!!set {a}|!local x|! x|&a|*a|&a 1
!<tag:yaml.org,2002:int> 1|&a [*a]|*|[&a 1, *a, *a]|{a: 1}|{a: {b: {c: 1}}}|[]|{}|[[]]
[1, two, 3.0, null]|[flip]|[flip, flip]|[{iteration: 1}]|[{}]|[1, [2]]|{<<: {a: 1}}|<<
[{iteration: 1, network: generator, factor: .nan}]|{? [a] : b}|? a|- - - 1|[|]|{|}|{]
[{iteration: 1, network: generator, factor: 9, more: 1}]|[a: b]|a: b|: |-|- |? |@|`|%
%YAML 2.0|#|# no|a #b|>|>|>9|>+|!|!!|,|/proc|/dev/zero|~/x|../..|.hidden|a/b|a b|con
""".replace("\n", "|").split("|")
SCALARS += [
    "\xe9",
    "e\u0301",
    "\u65e5\u672c\u8a9e",
    "\u202eabc",
    "\U0001f600",
    "\ufeff",
]
SCALARS += ["\x85", "\u2028", "\0", "\a", "\x7f", "\x1b[31m", "\t", "\v", "\f", "\x1c"]
LONG = ["x" * 4097, "9" * 31, "9" * 5000, "0." + "1" * 5000, "\xe9" * 1000, "a." * 3000]
LONG += ["[" * 400, "{a: " * 300, "- " * 500, "'" * 1001, "\\" * 999, "x y" * 2000]

values = st.one_of(
    st.sampled_from(CHOICES),
    st.sampled_from(NUMBERS),
    st.sampled_from(SCALARS),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=12),
)
rare_values = st.one_of(*[values] * 9, st.sampled_from(LONG))
names = st.one_of(
    st.sampled_from(
        ["", "<<", "1", "null", "true", "? x", "run", "name", "lerning_rate"]
    ),
    st.sampled_from([path[-1] for path in KEYS]),
    st.sampled_from([path[-1][:-1] for path in KEYS]),
    st.text(max_size=6),
)


def usual(path):
    """Returns a value that a key may well have, as YAML."""
    default = DEFAULTS[path]
    if path == ("run", "name"):
        return "fuzz"
    return "null" if default is None else str(default).lower()


@st.composite
def lines_of(draw):
    """Draws a document as [depth, key, value], most of it as it should be."""
    paths = draw(st.lists(st.sampled_from(KEYS), max_size=6, unique=True))
    paths = sorted([("run", "name"), *paths])
    lines, open_path = [], ()
    for path in paths:
        same = [a == b for a, b in zip(path[:-1], open_path, strict=False)]
        shared = len(list(itertools.takewhile(bool, same)))
        for depth in range(shared, len(path) - 1):
            lines.append([depth, path[depth], ""])
        lines.append([len(path) - 1, path[-1], usual(path)])
        open_path = path[:-1]
    for _ in range(draw(st.integers(1, 4))):
        line = draw(st.sampled_from(lines))
        what = draw(st.sampled_from("value value value key depth double list".split()))
        if what == "value":
            line[2] = draw(rare_values)
        elif what == "key":
            line[1] = draw(names)
        elif what == "depth":
            line[0] = draw(st.integers(0, 4))
        elif what == "list":
            line[1] = "- " + line[1]
        else:
            lines.insert(draw(st.integers(0, len(lines))), list(line))
    return lines


@st.composite
def documents(draw):
    """Draws the bytes of a config file."""
    text = "".join(
        f"{'  ' * depth}{key}: {value}\n" for depth, key, value in draw(lines_of())
    )
    kind = draw(st.sampled_from(KINDS))
    if kind == "other":
        text = draw(st.text(max_size=60))
    elif kind == "line ends":
        text = text.replace("\n", draw(st.sampled_from(LINE_ENDS)))
    elif kind == "start":
        text = draw(st.sampled_from(STARTS)) + text
    elif kind == "encoding":
        return text.encode(draw(st.sampled_from(ENCODINGS)), "backslashreplace")
    content = text.encode("utf-8", "surrogatepass")
    if kind == "bytes":
        at = draw(st.integers(0, len(content)))
        end = at + draw(st.integers(0, 8))
        content = content[:at] + draw(st.binary(max_size=6)) + content[end:]
    return content


KINDS = ["other", "line ends", "start", "encoding", "bytes", "bytes", *["as is"] * 13]
LINE_ENDS = ["\r\n", "\r", "\x85", "\u2028", ""]
STARTS = ["\ufeff", "---\n", "%YAML 1.1\n---\n", "# \xe9\n"]
ENCODINGS = "utf-16 utf-32 latin-1 utf-8-sig utf-7".split()


@st.composite
def overrides(draw):
    """Draws the KEY=VALUE of a --set."""
    path = draw(st.sampled_from(KEYS))
    key, value = ".".join(path), usual(path)
    for what in draw(st.lists(st.sampled_from(["value", "key", "text"]), max_size=2)):
        if what == "value":
            value = draw(rare_values)
        elif what == "key":
            key = ".".join(draw(st.lists(names, max_size=4)))
        else:
            return draw(st.text(max_size=20))
    return f"{key}={value}"


def check(path, given_overrides, is_read_back=True):
    """Reads a config; it is valid, or its message tells the place of each mistake.

    A valid one, written down with all its keys, is read back as the same, if asked for.
    """
    said = []
    began = time.thread_time()
    try:
        config, message = load_config(path, given_overrides, said.append), ""
    except ConfigError as error:
        config, message = None, str(error)
    assert time.thread_time() - began < SECONDS
    lines = message.split("\n")
    assert all(line.isprintable() for line in said + lines), message
    if config is None:
        assert all(len(line) < 600 for line in lines), message
        told = [line for line in lines if not line.startswith("  ")]
        place = re.compile(rf"{re.escape(str(path))}:\d+|--set |\.\.\. and [\d,]+ more")
        assert told and all(map(place.match, told)), message
    elif is_read_back:
        path.write_text(resolved_yaml(config), encoding="utf-8")
        assert repr(load_config(path)) == repr(config)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "fuzz.yaml"


# The quick tests try some, `make faults` 5,000.
FEW_OR_ALL = pytest.mark.parametrize(
    "share", [0.25, pytest.param(1, marks=[pytest.mark.slow, IS_FAULT])]
)


@FEW_OR_ALL
def test_files_are_valid_or_refused_with_their_place(path, tries, share):
    @settings(FUZZ, max_examples=int(4000 * share))
    @given(documents())
    def check_each(content):
        path.write_bytes(content)
        check(path, [], is_read_back=len(content) % 4 == 0)  # the slowest part
        tries.add()

    check_each()


@FEW_OR_ALL
def test_overrides_are_valid_or_refused_with_their_place(path, tries, share):
    @settings(FUZZ, max_examples=int(1000 * share))
    @given(st.lists(overrides(), min_size=1, max_size=3))
    def check_each(given_overrides):
        path.write_text("run: {name: fuzz}\n")
        check(path, given_overrides)
        tries.add()

    check_each()


def many(template, count):
    return "".join(template.format(n) for n in range(count))


BEGIN = "run:\n  name: fuzz\n"
LARGE = {
    "two documents": BEGIN + "---\n" + BEGIN,
    "a laugh": many("a{0}: &a{0} [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n", 9),
    "brackets": "a: " + "[" * 500_000,
    "braces": "a: " + "{a: " * 100_000,
    "indentation": "".join(f"{' ' * depth}a:\n" for depth in range(700)),
    "unknown keys": BEGIN + many("key{}: 1\n", 6000),
    "the same key": BEGIN + "loss: {}\n" * 9000,
    "wrong items": BEGIN + "debug: {inject_spikes: [" + "1, " * 19_000 + "]}",
    "wrong names": BEGIN + "model: {classes: [" + "{}, " * 9000 + "]}",
    "names of classes": BEGIN + "model:\n  classes:\n" + many("  - class {}\n", 9900),
    "too many names": BEGIN + "model:\n  classes:\n" + many("  - class {}\n", 20_000),
    "a comment": BEGIN + "#" * 500_000,
    "comments": BEGIN + "#\n" * 250_000,
    "a word": BEGIN + "b: " + "x" * 500_000,
    "words": BEGIN + "b: " + "x " * 250_000,
    "digits": BEGIN + "loss: {gamma: " + "1" * 500_000 + "}",
    "escapes": BEGIN + 'b: "' + r"\u0041" * 80_000 + '"',
    "lines in quotes": BEGIN + 'b: "' + "\n" * 500_000 + '"',
    "zeros": "\0" * 1000,
}


@IS_FAULT
@pytest.mark.slow  # a second of the processor each
@pytest.mark.parametrize("kind", LARGE)
def test_a_large_file_is_valid_or_refused_in_time(path, kind):
    path.write_text(LARGE[kind])
    check(path, [])


@IS_FAULT
def test_a_file_without_end_is_no_config(tmp_path):
    for path in (tmp_path / "large.yaml", "/dev/zero"):
        if path != "/dev/zero":
            path.write_text("#" * 2**20)
        with pytest.raises(ConfigError, match="no config: more than 512 KiB"):
            load_config(path)


@IS_FAULT
def test_a_path_that_none_can_be_is_a_mistake():
    for path in ("a\0b", "x" * 5000, "\ud800"):
        with pytest.raises(ConfigError):
            load_config(path)


@IS_FAULT
def test_more_classes_than_can_be_read_back_are_not_written():
    model = {"conditional": True, "classes": [f"class {n}" for n in range(10_001)]}
    with pytest.raises(ConfigError, match="at most 10,000.*\n.*10,001"):
        resolved_yaml(Config.model_validate({"run": {"name": "a"}, "model": model}))
