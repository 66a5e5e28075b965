"""The JSON Schema of the topology format: complete, current, and held by every shipped file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from harness.topology import schema
from harness.topology.generate import generate

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
SHIPPED = sorted(TOPOLOGIES.glob("*.yaml"))
MODELINE = "# yaml-language-server: $schema=schema.json"
CHECK = jsonschema.Draft202012Validator(schema.schema())


def as_json(text: str) -> Any:
    """A YAML document as editors check it: every key is text."""
    return json.loads(json.dumps(yaml.safe_load(text)))


def broken(**changes: Any) -> Any:
    """A generated topology with sections replaced."""
    return as_json(generate("vlans=2,hosts=2,endpoints=4")) | changes


def keys() -> Iterator[str]:
    """Every key of the format, by its section."""
    made = schema.schema()
    for name, section in {"File": made, **made["$defs"]}.items():
        yield from (f"{name}.{key}" for key in section["properties"])


def test_the_shipped_schema_is_current() -> None:
    """`harness topology --schema > topologies/schema.json` makes it so."""
    assert (TOPOLOGIES / "schema.json").read_text() == schema.text()


def test_the_schema_is_one() -> None:
    """Of draft 2020-12, as it says itself."""
    jsonschema.Draft202012Validator.check_schema(schema.schema())


@pytest.mark.parametrize("key", list(keys()))
def test_every_key_is_described(key: str) -> None:
    """In `schema.DESCRIPTIONS`: editors show it."""
    assert schema.DESCRIPTIONS.get(key)


def test_nothing_is_described_that_is_not_there() -> None:
    """A key that goes takes its description along."""
    assert set(schema.DESCRIPTIONS) <= {"File", *keys()}


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_file_names_the_schema_and_holds_it(file: Path) -> None:
    """On its first line, where editors look."""
    text = file.read_text()
    assert text.splitlines()[0] == MODELINE
    CHECK.validate(as_json(text))


def test_a_generated_file_holds_the_schema() -> None:
    """And names it."""
    text = generate("vlans=20,hosts=5,endpoints=100")
    assert text.startswith(MODELINE)
    CHECK.validate(as_json(text))


ROUTER = {"host": "gateway", "addresses": {"10": "10.0.1.1"}, "routes": {"20": "10.0.1.2"}}


@pytest.mark.parametrize("given", [ROUTER, [ROUTER], [ROUTER, ROUTER | {"rp_filter": 2}], None])
def test_gateways_are_one_section_or_several(given: Any) -> None:
    """Or left out; what stands in a list is no less strict than what stands alone."""
    assert [*CHECK.iter_errors(broken(gateway=given))] == []


@pytest.mark.parametrize("wrong", [{"rp_filter": 3}, {"routes": {"x": "10.0.1.2"}}, {"mode": "x"}])
@pytest.mark.parametrize("several", [False, True])
def test_an_editor_sees_mistakes_of_each_gateway(wrong: dict[str, Any], several: bool) -> None:
    """In the list as in the lone section."""
    given = [ROUTER, ROUTER | wrong] if several else ROUTER | wrong
    assert not CHECK.is_valid(broken(gateway=given))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"colour": "red"}, []),
        ({"name": "Capital"}, ["name"]),
        ({"vlans": {"4095": {"subnet": "10.0.0.0/8"}}}, ["vlans"]),
        ({"vlans": {"010": {"subnet": "10.0.0.0/8"}}}, ["vlans"]),
        ({"hosts": {"No Name": {"management": "192.168.56.1"}}}, ["hosts"]),
        ({"hosts": {}}, ["hosts"]),
        ({"endpoints": {"a": {"host": "host1", "vlan": "10"}}}, ["endpoints", "a"]),
        ({"trunk": {"mtu": 100}}, ["trunk", "mtu"]),
        ({"gateway": {"host": "gateway", "addresses": {"x": "10.0.1.1"}}}, ["gateway"]),
    ],
)
def test_an_editor_sees_mistakes_of_shape(changes: Any, where: list[str]) -> None:
    """At the place where they are."""
    found = [list(error.absolute_path) for error in CHECK.iter_errors(broken(**changes))]
    assert where in found
