"""The document described from the model: its JSON Schema, and a page that lists every key.

Both are made from the fields of `clusterd.model` and the table of lvs.cf keys, never by hand. Pure: `script/docs`
writes them to files, and a test compares.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusterd.lvscf import grammar
from clusterd.model import Cluster

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "clusterd document"
Path = tuple[str, ...]
Schema = Mapping[str, Any]

_ANY_NAME, _ANY_PLACE = "*", "#"  # in a path: a name that people choose, a place in a list
_SHOWN = {_ANY_NAME: "NAME", _ANY_PLACE: "NUMBER"}
_UNITS = {"_s": "s"}  # by the end of a key's name; other units stand beside the field as x-unit
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_ADDRESS = rf"{_OCTET}(\.{_OCTET}){{3}}"
_PREFIX = rf"/(3[0-2]|[12]?[0-9]|{_ADDRESS})"
_ADDRESS6 = r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*"  # whether it is one, only the model tells
_PREFIX6 = r"/(12[0-8]|1[01][0-9]|[1-9]?[0-9])"
_FORMATS = {  # by pydantic's name: a pattern, because JSON Schema has no name for all, and what people call it
    "ipv4": (rf"^{_ADDRESS}$", "address"),
    "ipv6": (rf"^{_ADDRESS6}$", "address"),
    "ipv4interface": (rf"^{_ADDRESS}({_PREFIX})?$", "address/prefix"),
    "ipv4network": (rf"^{_ADDRESS}({_PREFIX})?$", "network/prefix"),
    "ipv6interface": (rf"^{_ADDRESS6}({_PREFIX6})?$", "address/prefix"),
    "ipv6network": (rf"^{_ADDRESS6}({_PREFIX6})?$", "network/prefix"),
}
_LVSCF = (  # keys of lvs.cf by the objects of the document that their blocks describe
    ((), grammar.GLOBAL),
    (("virtuals", _ANY_NAME), grammar.VIRTUAL),
    (("virtuals", _ANY_NAME, "servers", _ANY_NAME), grammar.SERVER),
)
_INTRODUCTION = """\
<!-- Made from clusterd/model/ by script/docs: do not edit. -->

# The document: every key

`NAME` stands for a name that you choose: a letter or digit, then letters, digits, `_`, `.` and `-`, at most 63 in all.
`NUMBER` stands for a place in a list. Where the default is –, there is nothing. The column lvs.cf names the keys that
an import carries over; how is in [lvs.cf.md](lvs.cf.md).

`clusterd schema` prints the same as JSON Schema ([cluster.schema.json](cluster.schema.json)). Editors with a YAML
language server complete and check a document that begins with the line

```yaml
# yaml-language-server: $schema=cluster.schema.json
```

where `clusterd schema > cluster.schema.json` has put the schema beside it. What must hold between objects, and
whether a regular expression is one, only `clusterd validate` tells.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of the document. `default` is None where the key has to be there, "–" where there is none."""

    path: Path
    type: str
    unit: str
    default: str | None
    lvscf: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of object, and its own keys. `variant` is the check's type where it depends on that."""

    path: Path
    variant: str
    description: str
    entries: tuple[Entry, ...]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the document. Where JSON Schema says less than the model, `validate` says the rest."""
    made = Cluster.model_json_schema(by_alias=True)
    _complete(made)
    return {"$schema": DIALECT, **made, "title": TITLE}


def _complete(node: Any) -> None:
    """Say in a schema, throughout, what pydantic leaves to its own validator."""
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _complete(inner)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("patternProperties"), dict):
        node.setdefault("additionalProperties", False)
    if node.get("format") in _FORMATS:
        node["pattern"] = _FORMATS[node["format"]][0]
        if node["format"] not in ("ipv4", "ipv6"):
            del node["format"]
    if isinstance(node.get("title"), str):
        del node["title"]  # only the key's name again, in capitals
    if "oneOf" in node:
        node.pop("discriminator", None)  # a word of OpenAPI; the types' own constants say the same


def sections() -> tuple[Section, ...]:
    """Return every kind of object of the document, outer ones first."""
    whole = Cluster.model_json_schema(by_alias=True)
    return tuple(_sections(whole, whole, (), ""))


def _sections(whole: Schema, node: Schema, path: Path, variant: str) -> Iterator[Section]:
    required = node.get("required", ())
    entries = [_entry(whole, key, each, (*path, key), key in required) for key, each in node["properties"].items()]
    yield Section(path, variant, node.get("description", ""), tuple(entries))
    for key, each in node["properties"].items():
        for step, inner in _objects(whole, each):
            kind = inner["properties"].get("type", {}).get("const", "")
            yield from _sections(whole, inner, (*path, key, *step), kind)


def _objects(whole: Schema, node: Schema) -> Iterator[tuple[Path, Schema]]:
    """Yield the objects that may stand here, each with the steps that lead to it from here."""
    if "$ref" in node:
        node = whole["$defs"][node["$ref"].removeprefix("#/$defs/")]
    if "properties" in node:
        yield (), node
    for each in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _objects(whole, each)
    below = [(_ANY_NAME, each) for each in node.get("patternProperties", {}).values()]
    below += [(_ANY_PLACE, node["items"])] if "items" in node else []
    for name, each in below:
        for step, inner in _objects(whole, each):
            yield (name, *step), inner


def _entry(whole: Schema, key: str, node: Schema, path: Path, required: bool) -> Entry:
    unit = node.get("x-unit") or next((unit for end, unit in _UNITS.items() if key.endswith(end)), "")
    default = None if required else _default(whole, node)
    return Entry(path, _type(whole, node), unit, default, lvscf_names(path), node.get("description", ""))


def _default(whole: Schema, node: Schema) -> str:
    value = node.get("default")
    if isinstance(value, dict) and "type" in value:
        return str(value["type"])
    if value is None or (isinstance(value, dict | list) and (not value or any(_objects(whole, node)))):
        return "–"
    return _plain(value)


def _plain(value: Any) -> str:
    """Return a value as the document has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{', '.join(_plain(each) for each in value)}]"
    return str(value)


def _type(whole: Schema, node: Schema) -> str:
    if "enum" in node or "const" in node:
        return " or ".join(f"`{each}`" for each in node.get("enum", [node.get("const")]))
    for word in ("anyOf", "oneOf"):
        if word in node:
            kinds = [_type(whole, each) for each in node[word] if each.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if node.get("type") == "array":
        return f"list of {_type(whole, node['items'])}"
    if "patternProperties" in node:
        return "object by NAME"
    if "$ref" in node:
        return "object"
    if node.get("format") in _FORMATS:
        return _FORMATS[node["format"]][1]
    return str({"string": "text"}.get(node["type"], node["type"])) + _limits(node)


def _limits(node: Schema) -> str:
    least, above, most = node.get("minimum"), node.get("exclusiveMinimum"), node.get("maximum")
    if "maxLength" in node:
        return f", at most {node['maxLength']} characters"
    if least is not None and most is not None:
        return f" {least:g} … {most:.7g}"
    return f" > {above:g}, at most {most:.7g}" if above is not None and most is not None else ""


def lvscf_names(path: Path) -> tuple[str, ...]:
    """Return the keys of lvs.cf that say what stands at a path of the document; * is any name in it."""
    found = []
    for around, keys in _LVSCF:
        for word, key in keys.items():
            for to in key.to:
                whole = (*around, *to)
                if len(whole) == len(path) and all(
                    want in (step, _ANY_NAME) for want, step in zip(path, whole, strict=True)
                ):
                    found.append(word)
    return tuple(dict.fromkeys(found))


def markdown() -> str:
    """Return the page that lists every key."""
    return _INTRODUCTION + "".join(_table(section) for section in sections())


def _table(section: Section) -> str:
    where = "/".join(_SHOWN.get(step, step) for step in section.path)
    heading = f"`{where}`" if where else "The whole document"
    heading += f" of type `{section.variant}`" if section.variant else ""
    lines = [f"\n## {heading}\n", section.description, ""]
    lines += ["| key | type | unit | default | lvs.cf | meaning |", "| --- | --- | --- | --- | --- | --- |"]
    for each in section.entries:
        default = "required" if each.default is None else each.default if each.default == "–" else f"`{each.default}`"
        names = ", ".join(f"`{name}`" for name in each.lvscf)
        meaning = each.description.replace("\\", r"\\").replace("|", r"\|").replace("*", r"\*")
        cells = (f"`{each.path[-1]}`", each.type, each.unit, default, names, meaning)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
