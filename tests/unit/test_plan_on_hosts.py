"""The plan of a lab on lab hosts: what is made there, what is left alone, what takes it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import plan_on_hosts, topology
from harness.backends import Backend
from harness.commands import command
from harness.endpoints.containers import calls
from harness.endpoints.images import Image
from harness.endpoints.lab_host import LabHostEndpoints
from harness.errors import InputError
from harness.marks import without
from harness.plan import Step
from harness.topology import Topology

FILE = Path(__file__).parents[2] / "topologies" / "lab-hosts.yaml"
TEXT = FILE.read_text()
LAB = topology.read(FILE)
KIND = LabHostEndpoints()
RUN = "1a2b3c4d"
RULES = (
    "-A FORWARD -i eth2.10 -o eth2.20 -m state --state RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -i eth2.20 -o eth2.10 -m state --state RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT",
    "-A FORWARD -i eth2.20 -o eth2.10 -j ACCEPT",
)


def variant(*changes: tuple[str, str]) -> Topology:
    """The shipped lab with parts of its text replaced; each part must be there."""
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return topology.parse(text, "variant.yaml")


def found(**changes: Any) -> dict[str, dict[str, Any]]:
    """What a survey of fresh machines says; `changes` are of every one."""
    one: dict[str, Any] = {
        "mac": "52:54:00:00:00:01", "mtu": 1500, "up": True, "links": [],
        "sysctls": {"net.ipv4.ip_forward": "0", "net.ipv4.conf.all.rp_filter": "2"},
        "policies": {"iptables": "ACCEPT", "ip6tables": "ACCEPT"},
        "comments": False, "containers": [], "networks": ["bridge"], "image": False,
    }  # fmt: skip
    return {host.name: {**one, **changes} for host in LAB.hosts}


def said(steps: tuple[Step, ...]) -> list[str]:
    """Steps as commands."""
    return [command(step) for step in steps if step["do"] != "sysctl"]


def test_a_host_gets_sub_interfaces_and_containers() -> None:
    """No namespace, bridge or veth is made on it, and the gateway host has nothing yet."""
    steps = plan_on_hosts.build(LAB, KIND, found(), RUN)
    assert {step["do"] for step in steps} == {
        "vlan", "sysctl", "image", "network", "container", "adopt",
    }  # fmt: skip
    assert said(steps)[:4] == [
        "host1# ip link add link eth2 name eth2.10 mtu 1500 type vlan id 10",
        "host1# ip link add link eth2 name eth2.20 mtu 1500 type vlan id 20",
        "host2# ip link add link eth2 name eth2.10 mtu 1500 type vlan id 10",
        "host2# ip link add link eth2 name eth2.20 mtu 1500 type vlan id 20",
    ]
    assert "gateway" not in {step["node"] for step in steps}


def test_every_sysctl_of_a_host_is_a_sub_interfaces_own() -> None:
    """It goes with it; IPv6 is off there where the lab has none."""
    steps = [step for step in plan_on_hosts.build(LAB, KIND, found(), RUN)
             if step["do"] == "sysctl" and step["node"].startswith("host")]  # fmt: skip
    assert len(steps) == 4
    for step in steps:
        assert all(".eth2/10." in key or ".eth2/20." in key
                   for key in (*step["values"], *step["optional"]))  # fmt: skip
        assert step["undo"] is None
    assert steps[0]["optional"] == {"net.ipv6.conf.eth2/10.disable_ipv6": "1"}


def test_what_was_made_is_taken_back_in_reverse() -> None:
    """Containers, then their networks, the image, and last what they were on."""
    steps = plan_on_hosts.build(LAB, KIND, found(), RUN)
    undone = [one for one in plan_on_hosts.undo(steps) if one["node"] == "host1"]
    assert [(one["do"], one.get("name") or one["image"]) for one in undone] == [
        ("container-delete", "bbox2"), ("container-delete", "bbox1"),
        ("network-delete", "mac_net20"), ("network-delete", "mac_net10"),
        ("image-delete", "busybox:latest"), ("vlan-delete", "eth2.20"), ("vlan-delete", "eth2.10"),
    ]  # fmt: skip
    assert all(command(one) for one in undone)


def test_an_image_that_is_there_stays() -> None:
    """It is neither brought nor removed."""
    steps = plan_on_hosts.build(LAB, KIND, found(image=True), RUN)
    assert not [step for step in steps if step["do"] == "image"]


def test_a_trunk_that_is_down_goes_down_again() -> None:
    """Up before anything is on it, down after all is gone."""
    steps = plan_on_hosts.build(LAB, KIND, found(up=False), RUN)
    assert said(steps)[0] == "host1# ip link set eth2 up"
    undone = [command(one) for one in plan_on_hosts.undo(steps) if one["node"] == "host1"]
    assert undone[-1] == "host1# ip link set eth2 down"


def test_bare_namespaces_where_the_file_says_so() -> None:
    """On that host alone; the link goes before the namespace does."""
    lab = variant(("ssh: root@192.168.56.104", "ssh: root@192.168.56.104, endpoints: namespace"))
    steps = plan_on_hosts.build(lab, KIND, found(), RUN)
    own = [step["do"] for step in steps if step["node"] in ("bbox1", "bbox2")]
    assert own == 2 * ["namespace", "sysctl", "macvlan", "address", "route"]
    assert KIND.engines(lab) == ("host2",)
    assert {one[0] for one in KIND.readings(lab)} == {"host2"}
    undone = [one for one in plan_on_hosts.undo(steps) if one["do"] == "namespace-delete"]
    assert [(one["node"], one["name"]) for one in undone] == [("bbox2", "eth0"), ("bbox1", "eth0")]


def test_the_gateway_host_routes_and_gets_back_what_it_had() -> None:
    """Its policy of FORWARD is not touched: it is the topology's already, or stricter."""
    steps = plan_on_hosts.gateway(LAB, found(policies={"iptables": "DROP"}), RUN)
    assert {step["node"] for step in steps} == {"gateway"}
    assert command(steps[0]) == "gateway# sysctl -w net.ipv4.ip_forward=1"
    rules = [step for step in steps if step["do"] == "iptables"]
    assert [step["policies"] for step in rules] == [{}, {}]
    assert rules[1]["lines"] == RULES
    undone = plan_on_hosts.undo(steps)
    assert [one["do"] for one in undone] == [
        "iptables", "iptables", "vlan-delete", "vlan-delete", "sysctl",
    ]  # fmt: skip
    assert undone[0]["lines"] == tuple(rule.replace("-A ", "-D ") for rule in RULES)
    assert undone[-1]["values"] == {"net.ipv4.ip_forward": "0"}


def test_all_that_is_made_carries_the_mark_of_its_run() -> None:
    """And is taken back by it alone: a link, a network, a container, the image that was made."""
    steps = plan_on_hosts.build(LAB, KIND, found(), RUN)
    for step in (*steps, *plan_on_hosts.undo(steps)):
        kind = step["do"].partition("-")[0]
        if kind == "vlan":
            assert step["mark"] == "macvlan-harness-1a2b3c4d"
        elif kind in {"network", "container"}:
            assert step["labels"] == {"org.macvlan-harness.run": RUN}
        elif kind == "image":  # a person's container of it inherits its label
            assert step["labels"] == {"org.macvlan-harness.image": RUN}


def test_an_archives_image_has_the_labels_that_it_has() -> None:
    """Who made it gave it those."""
    kind = LabHostEndpoints(Image("alpine", "/srv/alpine.tar"))
    images = [
        step for step in plan_on_hosts.build(LAB, kind, found(), RUN) if step["do"] == "image"
    ]
    assert len(images) == 2
    assert all("labels" not in step for step in images)


def test_rules_carry_the_mark_where_iptables_has_comments() -> None:
    """They are deleted with it, so that a person's own of the same words stays."""
    comment = "-m comment --comment macvlan-harness-1a2b3c4d"
    rules = [step for step in plan_on_hosts.gateway(LAB, found(comments=True), RUN)
             if step["do"] == "iptables"]  # fmt: skip
    marked = tuple(line.replace("-j", f"{comment} -j") for line in RULES)
    assert rules[1]["lines"] == marked
    assert rules[1]["undo"]["lines"] == tuple(line.replace("-A", "-D") for line in marked)
    assert tuple(map(without, marked)) == RULES
    assert plan_on_hosts.unmarked(LAB, found(comments=True)) == ()
    assert plan_on_hosts.unmarked(LAB, found()) == (
        "marks on iptables rules: the iptables of gateway has no comment match",
    )


def test_what_a_machine_does_already_is_not_done() -> None:
    """One that forwards for others forwards on."""
    steps = plan_on_hosts.gateway(LAB, found(sysctls={"net.ipv4.ip_forward": "1"}), RUN)
    assert not [step for step in steps if "net.ipv4.ip_forward" in step.get("values", ())]


def test_a_policy_to_drop_is_set_and_set_back() -> None:
    """Where it was not DROP already."""
    lab = variant(("policy: ACCEPT", "policy: DROP"))
    policies = [
        (step["policies"], step["undo"]["policies"])
        for step in plan_on_hosts.gateway(lab, found(), RUN)
        if step["do"] == "iptables"
    ]
    assert policies[1] == ({"FORWARD": "DROP"}, {"FORWARD": "ACCEPT"})
    again = plan_on_hosts.gateway(lab, found(policies={"iptables": "DROP"}), RUN)
    assert again[-1]["policies"] == again[-1]["undo"]["policies"] == {}


def test_a_docker_host_that_routes_keeps_its_sub_interfaces() -> None:
    """Their addresses are taken back by themselves."""
    lab = variant(("host: gateway", "host: host1"))
    undone = plan_on_hosts.undo(plan_on_hosts.gateway(lab, found(), RUN))
    assert [command(one) for one in undone][2:4] == [
        "host1# ip address delete 172.16.20.1/24 dev eth2.20",
        "host1# ip address delete 172.16.10.1/24 dev eth2.10",
    ]


def test_a_gateway_that_routes_ipv6_has_it_on() -> None:
    """On its sub-interfaces, without advertisements and duplicate detection."""
    ipv6 = "subnet6: 'fd00:{0}::/64', gateway6: 'fd00:{0}::1'"
    lab = variant(
        ("gateway: 172.16.10.1, n", f"gateway: 172.16.10.1, {ipv6.format(10)}, n"),
        ("gateway: 172.16.20.1, n", f"gateway: 172.16.20.1, {ipv6.format(20)}, n"),
        ("172.16.10.10}", "172.16.10.10, address6: 'fd00:10::a'}"),
        ("172.16.10.11}", "172.16.10.11, address6: 'fd00:10::b'}"),
        ("172.16.20.10}", "172.16.20.10, address6: 'fd00:20::a'}"),
        ("172.16.20.11}", "172.16.20.11, address6: 'fd00:20::b'}"),
        ("masquerade:", "addresses6: {10: 'fd00:10::1', 20: 'fd00:20::1'}\n  masquerade:"),
    )  # fmt: skip
    steps = plan_on_hosts.gateway(lab, found(), RUN)
    settings = [step for step in steps if step["do"] == "sysctl" and step["undo"] is None]
    assert settings[0]["values"]["net.ipv6.conf.eth2/10.accept_dad"] == "0"
    assert settings[0]["optional"] == {}
    assert command(steps[-1]).startswith("gateway# ip6tables -t filter -A FORWARD")


def test_an_external_router_is_left_alone() -> None:
    """It is neither surveyed nor built on."""
    lab = variant(("{management: 192.168.56.101, ssh: root@192.168.56.101}", "{role: external}"))
    machines = {name: one for name, one in found().items() if name != "gateway"}
    steps = plan_on_hosts.build(lab, KIND, machines, RUN)
    assert "gateway" not in {step["node"] for step in steps}
    assert plan_on_hosts.gateway(lab, machines, RUN) == ()
    assert plan_on_hosts.unusable(lab, machines) == ()


def test_a_survey_asks_for_what_would_be_made() -> None:
    """The gateway's sub-interfaces too, though they are made later."""
    asked = {host.name: plan_on_hosts.asked(LAB, host)["links"] for host in LAB.hosts}
    assert list(asked.values()) == 3 * [["eth2.10", "eth2.20"]]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"links": ["eth2.10"]},
            "host1 has an interface eth2.10 already, which is not of this lab",
        ),
        ({"containers": ["bbox1", "web"]}, "host1 has a Docker container bbox1 already"),
        ({"networks": ["mac_net20"]}, "host1 has a Docker network mac_net20 already"),
        ({"mtu": 1400}, "eth2 of host1 has an MTU of 1400, less than 1500; `ip link set eth2 mtu"),
    ],
)
def test_what_is_in_the_way_is_told(changes: dict[str, Any], sentence: str) -> None:
    """It is not ours, so it stays, and the lab is not built."""
    assert plan_on_hosts.unusable(LAB, found(**changes))[0].startswith(sentence)


def test_a_host_without_the_trunk_is_told() -> None:
    """Once, by the name that the topology has for it."""
    machines = found()
    del machines["host2"]["mac"]
    assert plan_on_hosts.unusable(LAB, machines) == (
        "host2 has no interface eth2; correct `trunk` in the topology",
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (("ssh: root@192.168.56.105", "port: hairpin, ssh: a"), "switch port of host2 is not ours"),
        ((", ssh: root@192.168.56.105", ""), "does not say where host2 can be reached"),
        (("network: mac_net20", "network: mac_net20, mode: passthru"), "cannot be passthru"),
        (("network: mac_net20", "network: mac_net20, parent: engine"), "leave `parent: engine`"),
        (("  forward: {policy: ACCEPT, ", "  engine: {starts: before-forwarding}\n  forward: {"),
         "gateway has its engine already"),
    ],
)  # fmt: skip
def test_what_lab_hosts_cannot_carry_is_refused(changes: tuple[str, str], sentence: str) -> None:
    """Before anybody is asked for anything."""
    with pytest.raises(InputError, match=sentence):
        Backend("ssh").on_hosts(variant(changes))


def test_options_of_other_backends_are_refused() -> None:
    """Engines are there already; bare namespaces have no image."""
    bare = variant(("ssh: root@", "endpoints: namespace, ssh: root@"))
    assert Backend("ssh").on_hosts(bare).engines(bare) == ()
    with pytest.raises(InputError, match="--lab-image is for containers"):
        Backend("ssh", image="busybox").on_hosts(bare)
    with pytest.raises(InputError, match="lab hosts have engines of their own"):
        Backend("ssh", engines="28.5").on_hosts(LAB)
    with pytest.raises(InputError, match="--backend ssh is for `pytest suites/"):
        Backend("ssh").kind(LAB)


def test_a_lab_host_is_asked_of_its_engine_only() -> None:
    """Not of all its images and its log: it has more to do than the lab. None is started there."""
    assert KIND.image == "busybox:latest"
    assert KIND.ahead(LAB) == ()
    assert not any(KIND.makes_parent(vlan) for vlan in LAB.vlans)
    asked = {"docker-networks", "docker-containers", "docker-engine"}
    assert set(KIND.readings(LAB)) == {(host, kind) for host in KIND.engines(LAB) for kind in asked}
    assert (KIND.apply, KIND.evidence) == (calls.apply, calls.evidence)
