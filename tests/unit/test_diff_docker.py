"""What engines say of networks, containers and images, compared: what lasts, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from harness.diff import compare
from harness.diff.docker import RULES, without_made_ids
from harness.report.document import document
from tests.unit.builders import cell, passed, reading, report

NETWORK: dict[str, Any] = {
    "Name": "mac_net10", "Id": "264a", "Created": "2026-11-29T00:49:47Z", "Driver": "macvlan",
    "EnableIPv6": False, "Internal": False, "Containers": {"2ae4": {"Name": "bbox1"}},
    "IPAM": {"Config": [{"Subnet": "172.16.10.0/24", "Gateway": "172.16.10.1"}]},
    "Options": {"macvlan_mode": "bridge", "parent": "eth2.10"},
    "Labels": {"org.macvlan-harness.run": "1a"},
}  # fmt: skip
LEG = {"IPAddress": "172.16.10.10", "IPPrefixLen": 24, "Gateway": "", "EndpointID": "c356"}
CONTAINER: dict[str, Any] = {
    "Name": "/bbox1", "Id": "7d02", "Path": "sleep", "Args": ["1"], "Image": "sha256:1",
    "State": {"Status": "running", "Pid": 362}, "HostConfig": {"Runtime": "runc", "CapAdd": None},
    "Config": {"Image": "busybox:latest", "Hostname": "7d02", "Labels": None},
    "NetworkSettings": {"SandboxID": "33d5", "Networks": {"mac_net10": LEG}},
}  # fmt: skip
IMAGE: dict[str, Any] = {
    "Id": "sha256:1", "RepoTags": ["busybox:latest"], "Created": "now",
    "RootFS": {"Type": "layers", "Layers": ["sha256:aa"]},
}  # fmt: skip
ENGINE: dict[str, Any] = {
    "version": {
        "ApiVersion": "1.41",
        "Components": [{"Name": "Engine", "Version": "20.10"}, {"Name": "docker-init",
                                                                "Version": "0.19.0"}],
    },
    "info": {
        "ID": "LTQG", "Containers": 2, "NFd": 43, "SystemTime": "now", "Driver": "overlay2",
        "Plugins": {"Network": ["macvlan", "bridge"]}, "Runtimes": {"runc": {"path": "runc"}},
        "SecurityOptions": ["name=seccomp"], "LiveRestoreEnabled": False, "Labels": [],
        "DefaultAddressPools": [{"Base": "10.0.0.0/8", "Size": 24}],
    },
}  # fmt: skip


def info(**changed: Any) -> dict[str, Any]:
    """An engine with other options."""
    return {**ENGINE, "info": ENGINE["info"] | changed}


ROWS: dict[str, tuple[str, Any, Any, list[tuple[str, str, str]]]] = {
    "a parent": (
        "docker-networks", [NETWORK],
        [NETWORK | {"Options": {"macvlan_mode": "bridge", "parent": "eth2.20"}}],
        [("docker-networks: mac_net10 option parent", "eth2.10", "eth2.20")],
    ),
    "a pool": (
        "docker-networks", [NETWORK],
        [NETWORK | {"IPAM": {"Config": [{"Subnet": "172.16.10.0/24"}]}}],
        [("docker-networks: mac_net10 pools", "Subnet 172.16.10.0/24, Gateway 172.16.10.1",
          "Subnet 172.16.10.0/24")],
    ),
    "a network": (
        "docker-networks", [NETWORK], [], [("docker-networks: mac_net10", "there", "-")],
    ),
    "what is another each time of a network": (
        "docker-networks", [NETWORK],
        [NETWORK | {"Id": "9", "Created": "later", "Labels": {"org.macvlan-harness.run": "2b"}}],
        [],
    ),
    "a label": (
        "docker-networks", [NETWORK], [NETWORK | {"Labels": {"owner": "ops"}}],
        [("docker-networks: mac_net10 label owner", "-", "ops")],
    ),
    "a container that ended": (
        "docker-containers", [CONTAINER], [CONTAINER | {"State": {"Status": "exited"}}],
        [("docker-containers: bbox1 state", "running", "exited")],
    ),
    "a capability": (
        "docker-containers", [CONTAINER],
        [CONTAINER | {"HostConfig": {"Runtime": "runc", "CapAdd": ["NET_ADMIN"]}}],
        [("docker-containers: bbox1 CapAdd", "-", "NET_ADMIN")],
    ),
    "an address": (
        "docker-containers", [CONTAINER],
        [CONTAINER | {"NetworkSettings": {
            "Networks": {"mac_net10": LEG | {"IPAddress": "172.16.10.99"}}}}],
        [("docker-containers: bbox1 on mac_net10", "IPAddress 172.16.10.10, IPPrefixLen 24",
          "IPAddress 172.16.10.99, IPPrefixLen 24")],
    ),
    "what is another each time of a container": (
        "docker-containers", [CONTAINER],
        [CONTAINER | {"Id": "9", "Image": "sha256:2", "State": {"Status": "running", "Pid": 9}}],
        [],
    ),
    "what is in an image": (
        "docker-images", [IMAGE], [IMAGE | {"RootFS": {"Layers": ["sha256:bb"]}}],
        [("docker-images: busybox:latest", "sha256:aa", "sha256:bb")],
    ),
    "an image made again": ("docker-images", [IMAGE], [IMAGE | {"Id": "sha256:2"}], []),
    "images without a name": (
        "docker-images", [{"RepoTags": None, "RootFS": {}}], [{"RepoTags": [], "RootFS": {}}], [],
    ),
    "an engine's option": (
        "docker-engine", ENGINE, info(LiveRestoreEnabled=True),
        [("docker-engine: LiveRestoreEnabled", "False", "True")],
    ),
    "an engine's part that no line names": (
        "docker-engine", ENGINE,
        {**ENGINE, "version": {"ApiVersion": "1.41", "Components": [
            {"Name": "Engine", "Version": "28.5"}, {"Name": "docker-init", "Version": "0.19.1"}]}},
        [("docker-engine: version of docker-init", "0.19.0", "0.19.1")],
    ),
    "address pools": (
        "docker-engine", ENGINE, info(DefaultAddressPools=[]),
        [("docker-engine: DefaultAddressPools", "Base 10.0.0.0/8, Size 24", "-")],
    ),
    "what an engine does": (
        "docker-engine", ENGINE, info(ID="X", Containers=3, NFd=99, SystemTime="later"), [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_what_engines_say(row: str) -> None:
    """Each change once, under the name that people know it by."""
    kind, was, now, wanted = ROWS[row]
    made = [
        document(
            report(
                passed(cell("bbox1", "bbox3")),
                evidence=(reading(f"routed/host1/{kind}/after", kind=kind, node="host1",
                                  parsed=parsed),),
            )
        )
        for parsed in (was, now)
    ]  # fmt: skip
    found = compare(made[0], made[1])
    assert [(one.what, one.old, one.new) for one in found.changes] == [
        (f"host1 {what}", old, new) for what, old, new in wanted
    ]
    assert kind in RULES


def test_the_id_of_an_image_that_is_made_for_each_lab_is_no_change() -> None:
    """One that was pulled is another image if its id is another."""
    made = "host1: Docker 20.10; busybox:latest made of /bin/busybox, sha256:{}; x:1, sha256:{}"
    runs = [document(report(passed(cell("bbox1", "bbox3")), engines=(made.format(*ids),)))
            for ids in (("1a", "ff"), ("2b", "ff"), ("2b", "ee"))]  # fmt: skip
    assert compare(runs[0], runs[1]).changes == ()
    (change,) = compare(runs[1], runs[2]).changes
    assert (change.what, change.old.endswith("x:1, sha256:ff")) == ("engines", True)
    assert "1a" not in without_made_ids(made.format("1a", "ff"))


def test_versions_of_kernel_modules() -> None:
    """Another version is a change; that one run found a module loaded already is none."""
    runs = [
        document(report(passed(cell("bbox1", "bbox3")), versions=versions))
        for versions in ({"module bridge": "2.3"}, {"module bridge": "2.4", "module 8021q": "1.8"})
    ]
    assert [(one.what, one.old, one.new) for one in compare(runs[0], runs[1]).changes] == [
        ("version of module bridge", "2.3", "2.4")
    ]
