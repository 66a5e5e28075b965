"""What engines were heard to say, version by version, and the sentence that it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from harness import plan
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.engine_errors import COMPLAINTS, SAYS, named
from harness.lifecycle.changes import changed
from tests.unit.labs import TUTORIAL

GROUPS = [one for step in plan.build(TUTORIAL, DockerEndpoints()) for one in step.get("groups", ())]
STEPS = {step.get("name"): step for step in GROUPS[0]}
NETWORK = changed(STEPS["mac_net10"], name="another")
ON_ETH9 = {**NETWORK, "options": {"parent": "eth9.30"}}
CONTAINER = changed(STEPS["bbox1"], name="another", address="192.0.2.7")
OUTSIDE = "another on host1: its address 192.0.2.7 is in no subnet of mac_net10; "
TAKEN = "another on host1: its address 192.0.2.7 is taken by another container of mac_net10, "
GONE = "another on host1: eth2.20, the parent of its network, is gone; "
MAC = "another on host1: its MAC address 02:42:ac:10:0a:0a is in use on its parent: "

HEARD = [
    (
        "20.10, 26.1", NETWORK, "Pool overlaps with other one on this address space",
        "another on host1: its subnet 172.16.10.0/24 overlaps with that of another network",
    ),
    (
        "28.5", NETWORK, "invalid pool request: Pool overlaps with other one on this address space",
        "another on host1: its subnet 172.16.10.0/24 overlaps with that of another network",
    ),
    (
        "20.10, 26.1", NETWORK, "network dm-9a5e8d0df5fa is already using parent interface eth2.10",
        "another on host1: its parent eth2.10 has another network already, ",
    ),
    (
        "20.10", ON_ETH9, "-o parent interface does was not found on the host: eth9",
        "another on host1: there is no interface eth9 that its parent eth9.30 could be made on; ",
    ),
    (
        "26.1, 28.5", ON_ETH9, "-o parent interface was not found on the host: eth9",
        "another on host1: there is no interface eth9 that its parent eth9.30 could be made on; ",
    ),
    (
        "all", NETWORK, "invalid subinterface vlan name eth9, example formatting is eth0.10",
        "another on host1: there is no interface eth9, and an engine makes only those whose name ",
    ),
    (
        "20.10, 26.1", NETWORK, "failed to create eth2.30 vlan link: operation not supported",
        "another on host1: there is no interface eth2.30, and the engine cannot make it, ",
    ),
    (
        "20.10, 26.1", CONTAINER,
        "the requested parent interface eth2.20 was not found on the Docker host", GONE,
    ),
    (
        "28.5", CONTAINER,
        ("failed to set up container networking: the requested parent interface eth2.20 was not "
        "found on the Docker host"), GONE,
    ),
    (
        "20.10", CONTAINER,
        "Invalid address 192.0.2.7: It does not belong to any of this network's subnets", OUTSIDE,
    ),
    (
        "26.1, 28.5", CONTAINER,
        ("invalid config for network mac_net10: invalid endpoint settings:\nno configured "
        "subnet or ip-range contain the IP address 192.0.2.7"), OUTSIDE,
    ),
    ("20.10, 26.1", CONTAINER, "Address already in use", TAKEN),
    ("28.5", CONTAINER, "failed to set up container networking: Address already in use", TAKEN),
    (
        "20.10", CONTAINER,
        ("failed to create shim task: OCI runtime create failed: runc create failed: unable to "
        "start container process: error during container init: error running hook #0: error "
        'running hook: exit status 1, stdout: , stderr: time="2026-11-25T19:34:49Z" level=fatal '
        'msg="failed to add interface veth21102a3 to sandbox: error setting interface '
        '\\"veth21102a3\\" MAC to \\"02:42:ac:10:0a:0a\\": address already in use": unknown'), MAC,
    ),
    (
        "26.1", CONTAINER,
        ("failed to create task for container: failed to create shim task: OCI runtime create "
        "failed: runc create failed: unable to start container process: error during container "
        "init: error running hook #0: error running hook: exit status 1, stdout: , stderr: failed "
        'to add interface veth69292ba to sandbox: error setting interface "veth69292ba" MAC to '
        '"02:42:ac:10:0a:0a": address already in use: unknown'), MAC,
    ),
    (
        "28.5", CONTAINER,
        ("failed to set up container networking: failed to add interface vethc43364e to sandbox: "
        'error setting interface "vethc43364e" MAC to "02:42:ac:10:0a:0a": address already in use'),
        MAC,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("version", "step", "heard", "begins"), HEARD)
def test_a_complaint_is_named(version: str, step: dict[str, Any], heard: str, begins: str) -> None:
    """One line: who, where, what is wrong and what helps, and the engine's own words behind it."""
    said = named(step, SAYS + heard)
    assert said.startswith(begins), version
    assert said.endswith(f"(the engine says: {' '.join(heard.split())})")
    assert "\n" not in said
    assert "{" not in said


def test_every_complaint_was_heard() -> None:
    """No sentence for words that no engine has said."""
    said = [named(step, SAYS + heard).partition(" (the engine")[0] for _, step, heard, _ in HEARD]
    assert len(COMPLAINTS) == len(set(said)) + 1  # two ways to say that an address is outside


@pytest.mark.parametrize(
    "said", ["no such interface", f'{SAYS}Conflict. The container name "/bbox1" is already in use']
)
def test_other_words_stay(said: str) -> None:
    """What is no engine's, and what nobody knows, is passed on as it is."""
    assert named(CONTAINER, said) == said


def test_a_changed_step_says_so() -> None:
    """A step with other values has them in its words too."""
    assert CONTAINER["argv"][4:9] == ["another", "--network", "mac_net10", "--ip", "192.0.2.7"]
    assert STEPS["bbox1"]["name"] == "bbox1"
