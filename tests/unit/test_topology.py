"""Reading topologies: what a good file becomes, and a message with its line for every mistake."""

from __future__ import annotations

import os
import time
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from harness import topology
from harness.errors import TopologyError
from harness.topology import Endpoint, Gateway, Host, Reach, Vlan
from harness.topology.source import MAX_OCTETS
from tests.unit.labs import FILE, NO_GATEWAY, TEXT, TUTORIAL, variant

ROOT = Path(__file__).parents[2]
BROKEN = sorted(path.stem for path in (ROOT / "tests" / "errors").glob("*.yaml"))

SMALL = """\
name: small
purpose: no more than it needs
management: {subnet: 10.0.0.0/8}
vlans: {7: {subnet: 172.16.7.0/24}}
hosts: {h: {management: 10.0.0.1}}
endpoints: {e: {host: h, vlan: 7, address: 172.16.7.255}}
"""


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_told_with_its_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every broken file of tests/errors is refused, fast, with the messages beside it."""
    monkeypatch.chdir(ROOT)
    began = time.process_time()
    with pytest.raises(TopologyError) as caught:
        topology.read(f"tests/errors/{name}.yaml")
    assert str(caught.value) + "\n" == (ROOT / f"tests/errors/{name}.txt").read_text()
    assert time.process_time() - began < 2
    assert len(caught.value.messages) == str(caught.value).count("\n") + 1


def test_there_are_broken_files() -> None:
    """The table above is not empty, and no message is left without its file."""
    assert len(BROKEN) > 70
    texts = {path.stem for path in (ROOT / "tests" / "errors").glob("*.txt")}
    assert texts == set(BROKEN)


def test_the_tutorial_lab() -> None:
    """Every value of the file, resolved."""
    assert (TUTORIAL.name, TUTORIAL.trunk, TUTORIAL.management) == (
        "macvlan-two-host", "eth2", "eth1",
    )  # fmt: skip
    assert (TUTORIAL.mtu, TUTORIAL.purpose[:9]) == (1500, "two hosts")
    assert TUTORIAL.vlans == (
        Vlan(10, IPv4Network("172.16.10.0/24"), IPv4Address("172.16.10.1"), "mac_net10", 1500),
        Vlan(20, IPv4Network("172.16.20.0/24"), IPv4Address("172.16.20.1"), "mac_net20", 1500),
    )
    assert TUTORIAL.hosts == (
        Host("host1", IPv4Interface("192.168.56.104/24"), 1500),
        Host("host2", IPv4Interface("192.168.56.105/24"), 1500),
        Host("gateway", IPv4Interface("192.168.56.101/24"), 1500),
    )
    assert TUTORIAL.endpoints == (
        Endpoint("bbox1", "host1", 10, IPv4Address("172.16.10.10"), "02:42:ac:10:0a:0a"),
        Endpoint("bbox2", "host1", 20, IPv4Address("172.16.20.10"), "02:42:ac:10:14:0a"),
        Endpoint("bbox3", "host2", 10, IPv4Address("172.16.10.11"), "02:42:ac:10:0a:0b"),
        Endpoint("bbox4", "host2", 20, IPv4Address("172.16.20.11"), "02:42:ac:10:14:0b"),
    )
    assert TUTORIAL.gateways == (
        Gateway(
            host="gateway",
            addresses=((10, IPv4Address("172.16.10.1")), (20, IPv4Address("172.16.20.1"))),
            masquerade=(10, 20),
            forward_policy="ACCEPT",
            forward=((10, 20), (20, 10)),
        ),
    )


def test_what_is_left_out_has_a_default() -> None:
    """Interfaces, MTU, the network's name, the MAC address; and no gateway."""
    small = topology.parse(SMALL.replace("172.16.7.255", "172.16.7.254"), "small.yaml")
    assert (small.trunk, small.mtu, small.management, small.gateways) == ("eth2", 1500, "eth1", ())
    assert small.vlans == (Vlan(7, IPv4Network("172.16.7.0/24"), None, "mac_net7", 1500),)
    assert small.endpoints[0].mac == "02:42:ac:10:07:fe"
    assert small.host("h").management == IPv4Interface("10.0.0.1/8")


def test_a_gateway_has_defaults() -> None:
    """Neither source NAT nor rules, policy ACCEPT."""
    text = TEXT[: TEXT.index("  masquerade:")]
    (gateway,) = topology.parse(text, "x.yaml").gateways
    assert (gateway.masquerade, gateway.forward_policy, gateway.forward) == ((), "ACCEPT", ())


def test_a_mac_address_may_be_given() -> None:
    """Then it is the one, as it stands."""
    lab = variant(("bbox1: {", "bbox1: {mac: 02:00:00:00:00:0a, "))
    assert lab.endpoint("bbox1").mac == "02:00:00:00:00:0a"


def test_quoted_numbers_are_text() -> None:
    """In quotes a word that YAML would read as something else stays what it is."""
    lab = variant(("bbox1:", '"no":'), ("mac_net10", '"010"'))
    assert (lab.endpoints[0].name, lab.vlans[0].network) == ("no", "010")


@pytest.mark.parametrize("lab", [TUTORIAL, NO_GATEWAY])
def test_names_are_looked_up(lab: topology.Topology) -> None:
    """Each collection answers by name, and KeyError for a name that it does not have."""
    assert lab.vlan(20) is lab.vlans[1]
    assert lab.host("host2") is lab.hosts[1]
    assert lab.endpoint("bbox3") is lab.endpoints[2]
    assert lab.endpoint_vlans == {"bbox1": 10, "bbox2": 20, "bbox3": 10, "bbox4": 20}
    assert lab.endpoint_hosts["bbox4"] == "host2"
    assert lab.nodes == (
        "host1", "host2", "gateway", "switch", "bbox1", "bbox2", "bbox3", "bbox4",
    )  # fmt: skip
    with pytest.raises(KeyError):
        lab.vlan(30)
    with pytest.raises(KeyError):
        lab.host("bbox1")
    with pytest.raises(KeyError):
        lab.endpoint("host1")


def test_names_that_the_kernel_sees() -> None:
    """Sub-interfaces, switch ports and trunk MAC addresses."""
    assert TUTORIAL.subinterface(10) == "eth2.10"
    assert [TUTORIAL.trunk_mac(host.name) for host in TUTORIAL.hosts] == [
        "02:6e:73:00:00:01", "02:6e:73:00:00:02", "02:6e:73:00:00:03",
    ]  # fmt: skip
    assert TUTORIAL.vlans_of_host("host1") == (10, 20)
    assert TUTORIAL.vlans_of_host("gateway") == ()


@pytest.mark.parametrize(
    ("name", "port"), [("a-host-of-12c", "port2"), ("a-host-of-12", "a-host-of-12")]
)
def test_a_port_leaves_room_for_its_suffix(name: str, port: str) -> None:
    """`-m` and the name are 14 of the 15 octets that Linux gives, or the port has a number."""
    lab = variant(("host2", name))
    assert lab.port(name) == port
    assert len(lab.port(name) + "-m") <= 15


def test_the_gateway_has_an_address_in_some_vlans() -> None:
    """None where it has no leg."""
    (gateway,) = TUTORIAL.gateways
    assert gateway.address_in(20) == IPv4Address("172.16.20.1")
    assert gateway.address_in(30) is None


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Some editors write one."""
    path = tmp_path / "lab.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FILE.read_bytes())
    assert topology.read(path) == TUTORIAL


def test_line_ends_of_windows_are_no_mistake(tmp_path: Path) -> None:
    """The same file with CR LF is the same lab."""
    path = tmp_path / "lab.yaml"
    path.write_bytes(FILE.read_bytes().replace(b"\n", b"\r\n"))
    assert topology.read(str(path)) == TUTORIAL


@pytest.mark.parametrize("extra", [0, 1])
def test_a_file_has_a_largest_size(tmp_path: Path, extra: int) -> None:
    """One octet more is refused; that many are read."""
    path = tmp_path / "large.yaml"
    octets = FILE.read_bytes()
    path.write_bytes(octets + b"#" * (MAX_OCTETS - len(octets) + extra))
    if not extra:
        assert topology.read(path) == TUTORIAL
        return
    with pytest.raises(TopologyError) as caught:
        topology.read(path)
    assert str(caught.value) == f"{path}: a topology file has at most 1000000 octets"


def test_a_file_without_end_is_refused() -> None:
    """A device is read no further than a file may be large."""
    with pytest.raises(TopologyError, match=r"^/dev/zero: a topology file has at most"):
        topology.read("/dev/zero")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.yaml", "gone.yaml: cannot be read: No such file or directory"),
        (".", ".: cannot be read: Is a directory"),
        ("a\0b", "a\\x00b: cannot be read: embedded null byte"),
        ("x" * 300, "x" * 60 + ": cannot be read: File name too long"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    """The file system's own words, in one line."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TopologyError) as caught:
        topology.read(name)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    "octets", ["[" * 400_000, "{a: " * 250_000, "- " * 400_000, "? " * 400_000]
)
def test_nesting_without_end_is_refused(octets: str) -> None:
    """Libyaml's composer would run out of stack."""
    with pytest.raises(TopologyError, match=r"nested deeper|not YAML"):
        topology.parse(octets, "deep.yaml")


def test_a_text_that_has_no_octets_is_refused() -> None:
    """A lone surrogate has no UTF-8 form, so libyaml never sees it."""
    with pytest.raises(TopologyError, match=r"^x.yaml:1: not YAML: 'utf-8' codec"):
        topology.parse("name: \udcff", "x.yaml")


ODD = [
    *"[]{}&*!|>%@`,?:-#'\"\\~=<\t\n\0",
    *("- - -", "!!", "%YAML 9.9\n---\n", "&a", "? ", "<<", ".inf", "2001-01-01", "1e3", "!<tag> x"),
    *("!!set {a}", "!!omap [a: 1]", "!!binary x", "!!bool {a: b}", "!!int [1]", "!!map [1]"),
    *("!!str {a: b}", "0x1F", "1_0", "190:20:30"),
]


@pytest.mark.parametrize("place", ["vlan: 10", "bbox1:", "mtu: 1500", "purpose: two", "[10, 20]"])
def test_odd_input_is_read_or_refused(place: str) -> None:
    """Nothing but a TopologyError comes of it, and each of its messages is one line."""
    key = place.partition(" ")[0] + " " if ": " in place else ""
    for given in ODD:
        text = TEXT.replace(place, key + given + ("" if key else ":"), 1)
        messages = messages_of(text)
        assert all(one.startswith("odd.yaml:") and one.isprintable() for one in messages), given


def messages_of(text: str) -> tuple[str, ...]:
    """What is said of a text; nothing if it is a topology."""
    try:
        return () if topology.parse(text, "odd.yaml").endpoints else ("no endpoints",)
    except TopologyError as error:
        return error.messages or ("no message",)


def test_a_message_never_quotes_a_whole_file() -> None:
    """A long value, key or name is cut."""
    long = "x" * 10_000
    text = TEXT.replace("name: macvlan-two-host", f"name: {long.upper()}\n{long}: 1")
    text = text.replace("host: host1", f"host: {long}")
    with pytest.raises(TopologyError) as caught:
        topology.parse(text, "long.yaml")
    assert all(len(one) < 250 for one in caught.value.messages)


def test_mistakes_are_in_the_order_of_their_lines() -> None:
    """Line 10 comes after line 9, and nothing is told twice."""
    text = TEXT.replace("mtu: 1500", "mut: 1").replace("vlan: 20", "vlan: x")
    with pytest.raises(TopologyError) as caught:
        topology.parse(text, "f")
    numbers = [int(one.split(":")[1]) for one in caught.value.messages]
    assert numbers == sorted(numbers)
    assert len(set(caught.value.messages)) == len(numbers) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    """EACCES in words."""
    path = tmp_path / "secret.yaml"
    path.write_text(TEXT)
    path.chmod(0)
    with pytest.raises(TopologyError, match="cannot be read: Permission denied"):
        topology.read(path)


def test_a_lab_has_the_stages_that_it_can_reach() -> None:
    """Without a gateway host there is nothing to route, and nothing to take back."""
    assert TUTORIAL.stages == ("isolated", "routed", "undone")
    assert NO_GATEWAY.stages == ("isolated",)


def test_a_host_with_a_small_mtu_may_stand_beside_ipv6() -> None:
    """If it carries no endpoint of a VLAN that has it."""
    lab = variant(
        ("{subnet: 172.16.20.0/24", "{subnet6: fd00:20::/64, subnet: 172.16.20.0/24"),
        ("address: 172.16.20.10", "address6: fd00:20::a, address: 172.16.20.10"),
        ("bbox4: {host: host2", "bbox4: {host: host1"),
        ("address: 172.16.20.11", "address6: fd00:20::b, address: 172.16.20.11"),
        ("{management: 192.168.56.105}", "{management: 192.168.56.105, mtu: 1279}"),
    )
    assert lab.host("host2").mtu == 1279


def test_a_host_of_its_own_is_reached_as_it_says() -> None:
    """Its login, sudo, python3, engine and endpoints; with no more than `ssh`, the defaults."""
    more = "ssh: lab@host1, become: sudo, python: /usr/bin/python3.9, docker: /run/d.sock"
    found = variant(
        (
            "host1: {management: 192.168.56.104}",
            f"host1: {{management: 192.168.56.104, {more}, may: observe, endpoints: namespace}}",
        )
    )
    said = Reach(
        "lab@host1",
        sudo=True,
        python="/usr/bin/python3.9",
        docker="/run/d.sock",
        may="observe",
        endpoints="namespace",
    )
    assert found.host("host1").reach == said
    machines = topology.read(ROOT / "topologies" / "lab-hosts.yaml")
    assert machines.host("host1").reach == Reach("root@192.168.56.104")
    assert machines.floor_ms == 1000


def test_a_lab_on_machines_of_its_own() -> None:
    """Nobody looks into its switch, and its trunks have the MAC addresses that were found."""
    found = TUTORIAL.on_machines({"host1": "52:54:00:00:00:01"})
    assert "switch" not in found.nodes
    assert "switch" in TUTORIAL.nodes
    assert found.trunk_mac("host1") == "52:54:00:00:00:01"
    assert found.trunk_mac("host2") == TUTORIAL.trunk_mac("host2")
    assert found.ipv6.switched is False
