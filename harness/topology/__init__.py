"""The topology: what a lab consists of. `model` is the frozen object, `file` reads it from YAML."""

from harness.topology.file import parse, read
from harness.topology.model import Topology
from harness.topology.parts import DOCKER0, Address, Endpoint, Engine, Gateway, Host, Reach, Vlan
from harness.topology.source import text

__all__ = [
    "DOCKER0", "Address", "Endpoint", "Engine", "Gateway", "Host", "Reach", "Topology", "Vlan",
    "parse", "read", "text",
]  # fmt: skip
