"""Reads YAML the way people expect, and records where everything was written.

YAML 1.1, which `yaml.safe_load` reads, has traps. Here `2e-4` is a number, only `true`
and `false` are booleans, `0123` and `12:30` are text, and a duplicate key is a mistake.
Aliases, merge keys and tags are refused: a config does not need them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from settings.key_types import NUMBER

KeyPath = tuple[str | int, ...]

# What no config needs, and what would take more than a second or two to read: so many
# keys and values, and so many brackets or indentations within each other.
MOST_NODES, DEEPEST = 20_000, 20
# Characters of what was written, in a message, and of a file's path or a whole --set.
LONGEST_SHOWN, LONGEST_PLACE = 160, 320

NULL, BOOL, INT, FLOAT, STR = (
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")
)


class Place(NamedTuple):
    """Where something was written: line of the file (source 0), or --set (source 1)."""

    source: int
    number: int
    text: str


@dataclass(frozen=True)
class Complaint:
    """One mistake: its place, its dotted key, what is wrong, and details."""

    place: Place
    key: str
    what: str = ""
    details: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Formats it: place, key and what on one line, the details below."""
        place = shown(self.place.text, LONGEST_PLACE)
        head = [place, *(shown(one) for one in (self.key, self.what) if one)]
        lines = [f"  {label + ':':9} {shown(text)}" for label, text in self.details]
        return "\n".join([": ".join(head), *lines])


def shown(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Returns text on one line of moderate length, what cannot be printed escaped.

    A terminal would obey an escape sequence, and no file could hold half a character.
    """
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]} ... {text[-half:]}"
    if text.isprintable():
        return text
    escaped = (one.encode("unicode_escape").decode("ascii") for one in text)
    pairs = zip(text, escaped, strict=True)
    return "".join(one if one.isprintable() else other for one, other in pairs)


class Loader(yaml.SafeLoader):
    """A YAML loader with its own rules for plain scalars, without aliases and tags."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    num_nodes = depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Composes a node, rejecting aliases, tags, and what is too large or deep."""
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            _refuse(event, f"*{event.anchor} refers to another value: write it out")
        if getattr(event, "tag", None) is not None:
            _refuse(event, f"the tag {event.tag} is not read here: leave it out")
        self.num_nodes += 1
        if self.num_nodes > MOST_NODES:
            _refuse(event, f"more than {MOST_NODES:,} keys and values: leave some out")
        if self.depth > DEEPEST:
            _refuse(event, "nested too deeply")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _refuse(event: Any, problem: str) -> None:
    raise yaml.composer.ComposerError(None, None, problem, event.start_mark)


_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,30})$")
_SIGNS = list("-+.0123456789")
Loader.add_implicit_resolver(BOOL, re.compile("(?:true|false)$", re.I), list("tTfF"))
Loader.add_implicit_resolver(INT, _WHOLE, _SIGNS)
Loader.add_implicit_resolver(FLOAT, re.compile(f"(?:{NUMBER.pattern})$"), _SIGNS)
Loader.add_implicit_resolver(
    FLOAT, re.compile(r"(?:[-+]?\.inf|\.nan)$", re.I), list("-+.")
)
Loader.add_implicit_resolver(
    NULL, re.compile("(?:null|~|)$", re.I), ["n", "N", "~", ""]
)

_READ: dict[str, Callable[[str], Any]] = {
    NULL: lambda text: None,
    BOOL: lambda text: text.lower() == "true",
    INT: lambda text: int(text.replace("_", "")),
    FLOAT: lambda text: float(re.sub(r"\.(?=inf|nan)", "", text.lower())),
    STR: lambda text: text,
}


def compose(text: str) -> yaml.Node | None:
    """Parses one YAML document into nodes, or None if it is empty.

    Raises:
        yaml.YAMLError: If it is not valid YAML, or has aliases or tags.
    """
    loader = Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def syntax_complaint(error: yaml.YAMLError, text: str, name: str) -> Complaint:
    """Describes a YAML error and the line it is about."""
    lines = text.splitlines()
    if isinstance(error, yaml.reader.ReaderError):
        number = text.count("\n", 0, error.position) + 1
        what = f"the character #x{error.character:04x} cannot be here"
        return Complaint(Place(0, number, f"{name}:{number}"), "", what)
    told: Any = error  # all others have marks, unlike their base class
    mark = told.problem_mark or told.context_mark
    number = min(mark.line, max(len(lines) - 1, 0)) + 1
    problem = told.problem or told.context
    if problem.startswith("but "):  # the end of one of PyYAML's sentences
        problem = f"{told.context}, {problem}"
    what = f"not valid YAML: {problem}"
    if "'\\t'" in what:
        what += " (YAML indents with spaces, not tabs)"
    found = lines[number - 1].strip() if lines else "nothing"
    place = Place(0, number, f"{name}:{number}")
    return Complaint(place, "", what, (("found", found),))


@dataclass
class Written:
    """What was written: nested values, with the place and source text of each.

    Attributes:
        text_keys: Keys of free text, whose scalars stay text: `name: 0123` is "0123".
        places: The place of each key and list item, by path.
        texts: The source text of each scalar, by path.
        complaints: Mistakes found while reading: duplicate keys, merge keys.
    """

    text_keys: frozenset[KeyPath]
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    texts: dict[KeyPath, str] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)

    def read(
        self, node: yaml.Node, path: KeyPath, place_of: Callable[[yaml.Node], Place]
    ) -> Any:
        """Returns a node's value and records where its parts were written."""
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path, place_of)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.places[*path, index] = place_of(item)
            items = enumerate(node.value)
            return [self.read(item, (*path, index), place_of) for index, item in items]
        self.texts[path] = node.value
        if path in self.text_keys and node.tag != NULL:
            return node.value
        return _READ[node.tag](node.value)

    def _read_mapping(
        self,
        node: yaml.MappingNode,
        path: KeyPath,
        place_of: Callable[[yaml.Node], Place],
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = place_of(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                what = "a key must be a word, not a list or a mapping"
                self.complaints.append(Complaint(place, dotted(path), what))
                continue
            key = key_node.value
            key_path = (*path, key)
            if key in values:
                first = self.places[key_path].number
                what = f"given twice (first on line {first})"
                self.complaints.append(Complaint(place, dotted(key_path), what))
            elif key == "<<":
                what = "merge keys are not read here: write the keys out"
                self.complaints.append(Complaint(place, dotted(key_path), what))
            else:
                self.places[key_path] = place
                values[key] = self.read(value_node, key_path, place_of)
        return values

    def place(self, path: KeyPath) -> Place:
        """Returns where a key, or else the nearest key above it, was written."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places[path]

    def forget(self, path: KeyPath) -> None:
        """Forgets where a key and everything below it were written."""
        for known in (self.places, self.texts):
            for other in [other for other in known if other[: len(path)] == path]:
                del known[other]


def dotted(path: KeyPath) -> str:
    """Returns a path in dotted form: optimizer.generator.beta_1."""
    return ".".join(str(part) for part in path)


def written_in(
    node: yaml.MappingNode, name: str, text_keys: frozenset[KeyPath]
) -> Written:
    """Reads all that a file's outermost mapping says.

    Args:
        node: The mapping.
        name: Of the file, for places.
        text_keys: Paths of keys whose values are free text.
    """
    written = Written(text_keys, places={(): Place(0, 1, f"{name}:1")})

    def place_of(part: yaml.Node) -> Place:
        line = part.start_mark.line + 1
        return Place(0, line, f"{name}:{line}")

    written.values = written.read(node, (), place_of)
    return written
