"""The topology: what a lab consists of. `model` is the frozen object, `file` reads it from YAML."""

from harness.topology.file import parse, read
from harness.topology.model import Address, Endpoint, Gateway, Host, Topology, Vlan
from harness.topology.source import text

__all__ = ["Address", "Endpoint", "Gateway", "Host", "Topology", "Vlan", "parse", "read", "text"]
