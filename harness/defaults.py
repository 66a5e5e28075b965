"""What the pytest options and the commands share: defaults and choices, cheap to import."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError

DEFAULT_TOPOLOGY = "topologies/macvlan-two-host.yaml"
BACKENDS = ("netns", "docker", "ssh")
FORMATS = ("ifupdown", "networkd")
"""Who makes the links of a host when it starts."""
STAGES = ("isolated", "routed", "undone")
"""The values of `flow.Stage`, which is not imported to print help."""


def default_topology() -> Path:
    """Find the tutorial lab's file: below the working directory, else beside the package."""
    packaged = Path(__file__).parent / DEFAULT_TOPOLOGY
    checkout = Path(__file__).parents[1] / DEFAULT_TOPOLOGY
    for path in (Path(DEFAULT_TOPOLOGY), packaged, checkout):
        if path.exists():
            return path
    raise InputError(f"no {DEFAULT_TOPOLOGY} here; name a topology file")


def suites() -> Path:
    """Find the folder of the harness's own tests: beside the package, else here."""
    for path in (Path(__file__).parents[1] / "suites", Path("suites")):
        if (path / "test_same_vlan.py").exists():
            return path
    raise InputError("no suites/ of the harness here; run this in its checkout")
