"""The schema and the page of keys: made from the model, complete, up to date, and true.

A schema is tried by the small validator below, which knows the words that ours uses and refuses all others.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from clusterd import document, model
from clusterd.commands import main
from clusterd.errors import ConfigError
from clusterd.lvscf import grammar
from clusterd.model import Cluster
from clusterd.reference import markdown, schema, sections
from tests.clusterd.examples import MANUAL
from tests.strategies import clusters

ROOT = Path(__file__).parent.parent
SCHEMA = schema()
WEB = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80}
SERVER = {"address": "10.0.0.1"}
KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
SAY_NOTHING = ("title", "description", "default", "format", "x-unit", "$schema", "$defs")


def fits(value: Any, node: dict[str, Any]) -> bool:
    """Tell whether a value is what a schema describes (json-schema.org, draft 2020-12)."""
    for word, said in node.items():
        if word in SAY_NOTHING:
            continue
        kinds, obeyed = WORDS[word]
        about = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        if about and not obeyed(value, said, node):
            return False
    return True


def _known(value: dict[str, Any], said: object, node: dict[str, Any]) -> bool:
    patterns = node.get("patternProperties", {})
    return all(key in node.get("properties", {}) or any(re.search(p, key) for p in patterns) for key in value)


ANY = (dict, list, str, bool, int, float, type(None))
# By word of a schema: the kinds of value that it is about, and whether such a value obeys what the word says.
WORDS: dict[str, tuple[tuple[type, ...], Callable[[Any, Any, dict[str, Any]], bool]]] = {
    "$ref": (ANY, lambda value, said, _: fits(value, SCHEMA["$defs"][said.removeprefix("#/$defs/")])),
    "type": (ANY, lambda value, said, _: type(value) in KINDS[said]),
    "enum": (ANY, lambda value, said, _: value in said),
    "const": (ANY, lambda value, said, _: value == said),
    "anyOf": (ANY, lambda value, said, _: any(fits(value, each) for each in said)),
    "oneOf": (ANY, lambda value, said, _: sum(fits(value, each) for each in said) == 1),
    "required": ((dict,), lambda value, said, _: set(said) <= set(value)),
    "properties": ((dict,), lambda value, said, _: all(fits(value[key], said[key]) for key in said if key in value)),
    "patternProperties": (
        (dict,),
        lambda value, said, _: all(fits(value[key], said[p]) for p in said for key in value if re.search(p, key)),
    ),
    "propertyNames": ((dict,), lambda value, said, _: all(fits(key, said) for key in value)),
    "additionalProperties": ((dict,), lambda value, said, node: said is not False or _known(value, said, node)),
    "items": ((list,), lambda value, said, _: all(fits(each, said) for each in value)),
    "minItems": ((list,), lambda value, said, _: len(value) >= said),
    "maxItems": ((list,), lambda value, said, _: len(value) <= said),
    "minimum": ((int, float), lambda value, said, _: value >= said),
    "exclusiveMinimum": ((int, float), lambda value, said, _: value > said),
    "maximum": ((int, float), lambda value, said, _: value <= said),
    "maxLength": ((str,), lambda value, said, _: len(value) <= said),
    "pattern": ((str,), lambda value, said, _: re.search(said, value) is not None),
}


def test_the_files_are_what_the_model_says_now_else_run_script_docs(tmp_path: Path) -> None:
    subprocess.run([ROOT / "script" / "docs", tmp_path], check=True, timeout=60)
    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert set(made) == {"cluster.schema.json", "document.md", "metrics.md", "doctor.md"}
    for name, text in made.items():
        assert text == (ROOT / "docs" / name).read_text(), f"docs/{name} is stale: run script/docs"


def test_the_command_prints_the_schema_always_in_the_same_order() -> None:
    ended = CliRunner().invoke(main, ["schema"])
    assert ended.exit_code == 0
    assert json.loads(ended.stdout) == SCHEMA
    assert ended.stdout == CliRunner().invoke(main, ["schema"]).stdout
    assert next(iter(SCHEMA)) == "$schema"
    assert SCHEMA["title"] == "clusterd document"


@pytest.mark.parametrize("text", [MANUAL, "{}"])
def test_the_schema_fits_documents_as_people_write_them(text: str) -> None:
    assert fits(document.parse_yaml(text)[0], SCHEMA)


def test_the_schema_fits_the_document_of_the_readme() -> None:
    found = re.search(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    assert fits(document.parse_yaml(found[1])[0], SCHEMA)


@given(clusters())
@settings(max_examples=100)
def test_the_schema_fits_every_cluster_with_and_without_its_defaults(given: Cluster) -> None:
    assert fits(given.model_dump(mode="json", by_alias=True), SCHEMA)
    assert fits(document.parse_yaml(document.dump(given))[0], SCHEMA)


def test_an_address_may_have_a_netmask_as_the_model_reads_it() -> None:
    data = {"virtuals": {"web": WEB | {"address": "1.2.3.1/255.255.255.0"}}}
    assert document.from_data(data)
    assert fits(data, SCHEMA)


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"clusters": {}},
        {"cluster": {"forwarding": "masq"}},
        {"cluster": {"heartbeat": {"deadtime_s": 1}}},
        {"cluster": {"heartbeat": {"keepalive_s": 0}}},
        {"cluster": {"nat_router": {"address": "192.168.1.254/24"}}},
        {"cluster": {"masquerade": [{"source": "10.0.0.0/33", "interface": "eth0"}]}},
        {"routers": {"r1": {}}},
        {"routers": {"a/b": {"public": "1.2.3.4"}}},
        {"routers": {"a" * 64: {"public": "1.2.3.4"}}},
        {"routers": {"r1": {"public": "1.2.3.256"}}},
        {"routers": {"r1": {"public": "1.2.3.04"}}},
        {"routers": {"r1": {"public": "1.2.3.4", "private": "host"}}},
        {"routers": {"r1": {"public": "1.2.3.4", "public6": "1.2.3.5"}}},
        {"cluster": {"nat_router": {"address": "2001:db8::fe/64", "interface": "eth1"}}},
        {"cluster": {"nat_router6": {"address": "2001:db8::fe/129", "interface": "eth1"}}},
        {"virtuals": {"web": {**WEB, "address": "2001:db8::1%eth0/64"}}},
        {"virtuals": {"web": {**WEB, "port": "80"}}},
        {"virtuals": {"web": {**WEB, "port": True}}},
        {"virtuals": {"web": {**WEB, "port": 65536}}},
        {"virtuals": {"web": {**WEB, "interface": "eth0:1"}}},
        {"virtuals": {"web": {**WEB, "check": {}}}},
        {"virtuals": {"web": {**WEB, "check": {"type": "tcp", "path": "/"}}}},
        {"virtuals": {"web": {**WEB, "check": {"type": "http", "path": "x"}}}},
        {"virtuals": {"web": {**WEB, "check": {"type": "http", "status": []}}}},
        {"virtuals": {"web": {**WEB, "servers": {"rs1": {**SERVER, "weight": -1}}}}},
        {"virtuals": {"web": {**WEB, "servers": {"rs1": {**SERVER, "wieght": 1}}}}},
    ],
)
def test_the_schema_refuses_what_the_model_refuses(data: Any) -> None:
    assert not fits(data, SCHEMA)
    with pytest.raises(ConfigError):
        document.from_data(data)


def test_every_key_says_what_it_means() -> None:
    for section in sections():
        assert section.description
        for entry in section.entries:
            assert entry.description, f"{'/'.join(entry.path)} has no description"


def test_what_is_counted_in_seconds_says_so() -> None:
    for section in sections():
        for entry in section.entries:
            assert (entry.unit == "s") == entry.path[-1].endswith("_s")
            assert entry.unit != "s" or "seconds" in entry.description


def test_every_field_of_the_model_is_listed() -> None:
    kinds = [kind for kind in vars(model).values() if isinstance(kind, type) and issubclass(kind, model.Value)]
    listed = [{entry.path[-1] for entry in section.entries} for section in sections()]
    for kind in kinds:
        keys = {field.alias or name for name, field in kind.model_fields.items()}
        assert any(keys <= each for each in listed), f"{kind.__name__} is not documented"


def test_every_key_of_lvs_cf_that_goes_somewhere_is_listed_there() -> None:
    listed = {name for section in sections() for entry in section.entries for name in entry.lvscf}
    for keys in grammar.KEYS.values():
        assert {word for word, key in keys.items() if key.to} <= listed


@pytest.mark.parametrize(
    "line",
    [
        "| `address` | address/prefix |  | required | `nat_router`, `nat_nmask` | the gateway's address and its "
        "network's prefix |",
        "| `timeout_s` | number > 0, at most 86400 | s | `1` | `timeout` | seconds that one check may take |",
        "| `prefix` | integer 1 … 128 | bits | – | `pmask` | how many bits of a client's address count, at most 32 "
        "where the VIP is an IPv4 address; all of them without it |",
        "| `status` | list of integer 100 … 599 or text |  | `[200]` |  | "
        "status codes that are good, ranges of them as text: 200-299 |",
        "| `check` | object |  | `tcp` |  | how its real servers are checked |",
        "| `quiesce` | boolean |  | `false` | `quiesce_server` | a failed server keeps its connections at weight 0 |",
        r"| `expect` | text, at most 255 characters |  | – | `expect` | what must come back; \* means anything, but "
        "something |",
        "## `cluster/masquerade/NUMBER`",
        "## `virtuals/NAME/check` of type `send_expect`",
        "## `virtuals/NAME/servers/NAME`",
        "# yaml-language-server: $schema=cluster.schema.json",
    ],
)
def test_the_page_says_type_unit_default_name_in_lvs_cf_and_meaning(line: str) -> None:
    assert line in markdown().splitlines()
