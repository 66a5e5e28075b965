"""What hosts read when they start: every file to the letter, and what is said of it."""

from __future__ import annotations

import pytest

from harness import boot, topology
from harness.errors import InputError
from harness.topology import Topology
from tests.unit.labs import FILE, shipped, variant
from tests.unit.test_plan_on_hosts import variant as hosted

LAB = hosted()
MARK = "# Written by `harness write-config` for the lab {}, which replaces it.\n"
IPV4 = (
    "-net.ipv4.conf.{0}.rp_filter = 0\n"
    "-net.ipv4.conf.{0}.arp_ignore = 0\n"
    "-net.ipv4.conf.{0}.arp_announce = 0\n"
    "-net.ipv4.conf.{0}.arp_filter = 0\n"
    "-net.ipv4.conf.{0}.arp_accept = 0\n"
    "-net.ipv4.conf.{0}.proxy_arp = 0\n"
    "-net.ipv4.conf.{0}.accept_redirects = 0\n"
    "-net.ipv4.conf.{0}.send_redirects = 0\n"
)
NO_IPV6 = "-net.ipv6.conf.{0}.disable_ipv6 = 1\n"
IPV6 = (
    "-net.ipv6.conf.{0}.accept_ra = 0\n"
    "-net.ipv6.conf.{0}.autoconf = 0\n"
    "-net.ipv6.conf.{0}.accept_redirects = 0\n"
    "-net.ipv6.conf.{0}.accept_dad = 0\n"
    "-net.ipv6.conf.{0}.proxy_ndp = 0\n"
    "-net.ipv6.conf.{0}.hop_limit = 64\n"
)
AWAY = (
    "{0}-save | grep -Fx -f {1} -e '*raw' -e '*mangle' -e '*security' -e '*nat' -e '*filter'"
    " | sed 's/^-A/-D/' | {0}-restore --wait --noflush"
)
FILTER = (
    "-A FORWARD -i eth2.10 -o eth2.20 -m state --state RELATED,ESTABLISHED -j ACCEPT\n"
    "-A FORWARD -i eth2.20 -o eth2.10 -m state --state RELATED,ESTABLISHED -j ACCEPT\n"
    "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT\n"
    "-A FORWARD -i eth2.20 -o eth2.10 -j ACCEPT\n"
    "COMMIT\n"
)
NAT = (
    "*nat\n"
    "-A POSTROUTING -o eth2.10 -j MASQUERADE\n"
    "-A POSTROUTING -o eth2.20 -j MASQUERADE\n"
    "COMMIT\n"
)


NETWORK = (
    "docker network create --driver macvlan --subnet 172.16.{0}.0/24 --gateway 172.16.{0}.1 "
    "-o parent=eth2.{0} -o macvlan_mode=bridge mac_net{0}"
)
CONTAINER = (
    "docker run --detach --restart unless-stopped --name {} --network mac_net{} --ip {} "
    "busybox:latest sleep 1000000000"
)
CONTAINERS = (
    CONTAINER.format("bbox1", "10", "172.16.10.10"),
    CONTAINER.format("bbox2", "20", "172.16.20.10"),
)
NOTE = (
    "/etc/network/interfaces must have the line `source /etc/network/interfaces.d/*`, as "
    "Debian's has"
)


def of(lab: Topology, host: str, format_: str = "ifupdown") -> boot.Setup:
    """What one host is given."""
    (one,) = boot.setups(lab, format_, (host,))
    return one


def content(setup: boot.Setup) -> dict[str, str]:
    """Its files by path."""
    return {each.path: each.content for each in setup.files}


def test_a_docker_host_has_links_and_commands() -> None:
    """Sub-interfaces without addresses; networks and containers are Docker's to keep."""
    host1 = of(LAB, "host1")
    assert content(host1) == {
        "/etc/network/interfaces.d/lab-hosts": MARK.format("lab-hosts") + (
            "auto eth2\n"
            "iface eth2 inet manual\n"
            "    mtu 1500\n"
            "\n"
            "auto eth2.10\n"
            "iface eth2.10 inet manual\n"
            "    vlan-raw-device eth2\n"
            "    mtu 1500\n"
            "    up sysctl -q -e -p /etc/sysctl.d/90-lab-hosts.conf\n"
            "\n"
            "auto eth2.20\n"
            "iface eth2.20 inet manual\n"
            "    vlan-raw-device eth2\n"
            "    mtu 1500\n"
            "    up sysctl -q -e -p /etc/sysctl.d/90-lab-hosts.conf\n"
        ),
        "/etc/sysctl.d/90-lab-hosts.conf": MARK.format("lab-hosts")
        + "".join((IPV4 + NO_IPV6).format(link) for link in ("eth2/10", "eth2/20")),
    }  # fmt: skip
    assert host1.now == (
        "sysctl -q -e -p /etc/sysctl.d/90-lab-hosts.conf",
        "ifdown eth2.20 eth2.10 eth2",
        "ifup eth2 eth2.10 eth2.20",
    )
    assert host1.once == (NETWORK.format("10"), NETWORK.format("20"), *CONTAINERS)
    assert host1.notes == (NOTE,)


def test_a_gateway_host_routes() -> None:
    """Forwarding, addresses, and rules that come and go with the trunk, each once."""
    gateway = of(LAB, "gateway")
    rules = "/etc/iptables/lab-hosts.v4"
    away = AWAY.format("iptables", rules)
    assert content(gateway) == {
        "/etc/network/interfaces.d/lab-hosts": MARK.format("lab-hosts") + (
            "auto eth2\n"
            "iface eth2 inet manual\n"
            "    mtu 1500\n"
            f"    up {away}\n"
            f"    up iptables-restore --wait --noflush {rules}\n"
            f"    down {away}\n"
            "\n"
            "auto eth2.10\n"
            "iface eth2.10 inet static\n"
            "    vlan-raw-device eth2\n"
            "    address 172.16.10.1/24\n"
            "    pre-up ip address delete 172.16.10.1/24 dev eth2.10 2>/dev/null || true\n"
            "    mtu 1500\n"
            "    up sysctl -q -e -p /etc/sysctl.d/90-lab-hosts.conf\n"
            "\n"
            "auto eth2.20\n"
            "iface eth2.20 inet static\n"
            "    vlan-raw-device eth2\n"
            "    address 172.16.20.1/24\n"
            "    pre-up ip address delete 172.16.20.1/24 dev eth2.20 2>/dev/null || true\n"
            "    mtu 1500\n"
            "    up sysctl -q -e -p /etc/sysctl.d/90-lab-hosts.conf\n"
        ),
        "/etc/sysctl.d/90-lab-hosts.conf": MARK.format("lab-hosts")
        + "net.ipv4.ip_forward = 1\n"
        + "".join((IPV4 + NO_IPV6).format(link) for link in ("eth2/10", "eth2/20")),
        rules: MARK.format("lab-hosts") + NAT + "*filter\n" + FILTER,
    }  # fmt: skip
    assert gateway.once == ()


def test_policy_is_set_where_it_is_drop() -> None:
    """Only then: what a machine has is never loosened."""
    lab = hosted(("policy: ACCEPT", "policy: DROP"))
    rules = content(of(lab, "gateway"))["/etc/iptables/lab-hosts.v4"]
    assert rules.endswith(NAT + "*filter\n:FORWARD DROP [0:0]\n" + FILTER)


def test_a_gateway_without_rules_has_no_file_of_them() -> None:
    """No NAT, policy ACCEPT and nobody named: forwarding and addresses do it."""
    lab = hosted(("masquerade: [10, 20]", "masquerade: []"), ("[[10, 20], [20, 10]]", "[]"))
    for format_ in ("ifupdown", "networkd"):
        gateway = of(lab, "gateway", format_)
        assert not [path for path in content(gateway) if "iptables" in path or "rules" in path]
        assert not [each for each in gateway.files if "iptables" in each.content]


def test_ipv6_has_addresses_sysctls_and_rules_of_its_own() -> None:
    """Without duplicate address detection, as the lab has it everywhere; no NAT."""
    found = content(of(shipped("dual-stack"), "gateway"))
    stanzas = found["/etc/network/interfaces.d/dual-stack"]
    for program, suffix in (("iptables", "v4"), ("ip6tables", "v6")):
        rules = f"/etc/iptables/dual-stack.{suffix}"
        assert f"    up {program}-restore --wait --noflush {rules}\n" in stanzas
        assert f"    down {AWAY.format(program, rules)}\n" in stanzas
    assert (
        "    up sysctl -q -e -p /etc/sysctl.d/90-dual-stack.conf\n"
        "iface eth2.10 inet6 static\n"
        "    address 2001:db8:10::1/64\n"
        "    pre-up ip address delete 2001:db8:10::1/64 dev eth2.10 2>/dev/null || true\n"
        "    dad-attempts 0\n"
        "    accept_ra 0\n"
        "\n"
        "auto eth2.20\n"
    ) in stanzas
    assert found["/etc/sysctl.d/90-dual-stack.conf"] == MARK.format("dual-stack") + (
        "net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\n"
    ) + "".join((IPV4 + IPV6).format(link) for link in ("eth2/10", "eth2/20"))
    assert found["/etc/iptables/dual-stack.v6"] == (
        MARK.format("dual-stack") + "*filter\n" + FILTER
    )


def test_routes_are_those_of_the_leg_that_they_leave_by() -> None:
    """What another gateway leads to; rp_filter is the machine's, as the topology says."""
    lab = shipped("two-gateways")
    gw1 = content(of(lab, "gw1"))
    before, _, after = gw1["/etc/network/interfaces.d/two-gateways"].partition("auto eth2.20\n")
    assert "ip route" not in before
    assert "    up ip route replace 172.16.30.0/24 via 172.16.20.2\n" in after
    assert "net.ipv4.conf.all.rp_filter = 1\n" in gw1["/etc/sysctl.d/90-two-gateways.conf"]
    networkd = content(of(lab, "gw1", "networkd"))
    route = "[Route]\nDestination=172.16.30.0/24\nGateway=172.16.20.2\n"
    leg20 = networkd["/etc/systemd/network/05-two-gateways-eth2.20.network"]
    assert leg20.endswith(f"ConfigureWithoutCarrier=yes\n\n{route}")
    assert route not in networkd["/etc/systemd/network/05-two-gateways-eth2.10.network"]


def test_mtu_is_that_of_trunk_and_vlan() -> None:
    """Where they differ, each link has its own."""
    lab = shipped("jumbo")
    text = content(of(lab, "host1"))["/etc/network/interfaces.d/jumbo"]
    own = [line.strip() for line in text.splitlines() if "auto" in line or "mtu" in line]
    assert own == [
        word
        for link, mtu in (
            ("eth2", lab.host("host1").mtu),
            *((f"eth2.{vlan}", lab.mtu_at("host1", vlan)) for vlan in lab.vlans_of_host("host1")),
        )
        for word in (f"auto {link}", f"mtu {mtu}")
    ]
    assert len({line for line in own if "mtu" in line}) > 1


def test_networkd_has_a_file_for_each_link_and_a_service_for_the_rules() -> None:
    """A boot takes them up once they are enabled; nothing of IPv6 where there is none."""
    gateway = of(LAB, "gateway", "networkd")
    found, mark = content(gateway), MARK.format("lab-hosts")
    folder = "/etc/systemd/network/05-lab-hosts-eth2"
    quiet = "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    assert found[f"{folder}.network"] == mark + (
        "[Match]\nName=eth2\n\n[Link]\nMTUBytes=1500\nRequiredForOnline=carrier\n\n"
        f"[Network]\nVLAN=eth2.10\nVLAN=eth2.20\n{quiet}"
    )
    for vlan in ("10", "20"):
        link = f"{folder}.{vlan}"
        assert found[f"{link}.netdev"] == mark + (
            f"[NetDev]\nName=eth2.{vlan}\nKind=vlan\nMTUBytes=1500\n\n[VLAN]\nId={vlan}\n"
        )
        assert found[f"{link}.network"] == mark + (
            f"[Match]\nName=eth2.{vlan}\n\n[Link]\nRequiredForOnline=carrier\n\n"
            f"[Network]\nAddress=172.16.{vlan}.1/24\n{quiet}ConfigureWithoutCarrier=yes\n"
        )
    rules = "/etc/iptables/lab-hosts.v4"
    away = f'=/bin/sh -c "{AWAY.format("iptables", rules)}"\n'
    assert found["/etc/systemd/system/lab-hosts-rules.service"] == mark + (
        "[Unit]\nDescription=iptables rules of the lab lab-hosts\n\n"
        f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStartPre{away}"
        f'ExecStart=/bin/sh -c "iptables-restore --wait --noflush {rules}"\nExecStop{away}\n'
        "[Install]\nWantedBy=multi-user.target\n"
    )
    enable = "systemctl enable systemd-networkd lab-hosts-rules.service"
    assert gateway.now == (
        "sysctl -q -e -p /etc/sysctl.d/90-lab-hosts.conf", enable, "systemctl daemon-reload",
        "systemctl restart lab-hosts-rules.service", "networkctl reload",
    )  # fmt: skip
    assert gateway.notes == (f"a boot takes it up after `{enable}`",)
    assert len(found) == 8
    host1 = of(LAB, "host1", "networkd")
    assert host1.now == (
        "sysctl -q -e -p /etc/sysctl.d/90-lab-hosts.conf", "systemctl enable systemd-networkd",
        "networkctl reload",
    )  # fmt: skip


def test_networkd_has_no_duplicate_address_detection() -> None:
    """As everywhere in a lab with IPv6."""
    leg = content(of(shipped("dual-stack"), "gateway", "networkd"))[
        "/etc/systemd/network/05-dual-stack-eth2.10.network"
    ]
    assert (
        "Address=172.16.10.1/24\nAddress=2001:db8:10::1/64\nIPv6DuplicateAddressDetection=0\n"
    ) in leg


def test_an_external_gateway_is_given_nothing() -> None:
    """And it is said so; the others have what they have."""
    setups = boot.setups(shipped("external-router"))
    (router,) = [one for one in setups if not one.files]
    assert router.notes == ("it is external: somebody else's, and given nothing",)
    assert (router.now, router.once) == ((), ())


def test_a_host_without_a_part_is_given_nothing() -> None:
    """One that carries no endpoint, and routes nothing."""
    gateway = "  gateway: {management"
    lab = variant((gateway, f"  idle: {{management: 192.168.56.9}}\n{gateway}"))
    assert of(lab, "idle").notes == ("it has no part in the lab, and is given nothing",)


def test_bare_namespaces_are_kept_by_nobody() -> None:
    """Their host has the links all the same; no command makes containers of them."""
    lab = hosted(("ssh: root@192.168.56.104", "endpoints: namespace, ssh: root@192.168.56.104"))
    host1 = of(lab, "host1")
    assert (len(host1.files), host1.once) == (2, ())
    assert "bare namespaces, which nothing keeps" in host1.notes[-1]


def test_containers_are_as_the_topology_has_them() -> None:
    """An engine behind another socket is asked there; a MAC address that was chosen is kept."""
    lab = hosted(
        ("ssh: root@192.168.56.104", "docker: /run/my-docker, ssh: root@192.168.56.104"),
        ("address: 172.16.10.10", "address: 172.16.10.10, mac: 02:00:00:00:00:07"),
    )
    once = of(lab, "host1").once
    assert all(line.startswith("docker -H unix:///run/my-docker ") for line in once)
    (bbox1,) = [line for line in once if "bbox1" in line]
    assert "--ip 172.16.10.10 --mac-address 02:00:00:00:00:07 busybox" in bbox1
    assert "--mac-address" not in "".join(line for line in once if line != bbox1)


def test_every_host_has_its_turn() -> None:
    """All in the order of the file, or those that are named."""
    assert [one.host for one in boot.setups(LAB)] == ["host1", "host2", "gateway"]
    assert [one.host for one in boot.setups(LAB, hosts=("gateway", "host1"))] == [
        "host1", "gateway",
    ]  # fmt: skip


def test_an_unknown_host_is_named() -> None:
    """With those that there are."""
    with pytest.raises(InputError, match=r"^lab-hosts has no host h3, h4; it has host1, host2, g"):
        boot.setups(LAB, hosts=("h4", "host1", "h3"))


@pytest.mark.parametrize(
    ("lab", "said"),
    [
        ("gateway-runs-docker", "gateway has its engine already; leave `engine` out"),
        ("macvlan-modes", "VLAN 40 cannot be passthru on a shared trunk"),
    ],
)
def test_what_no_machine_can_have_is_refused(lab: str, said: str) -> None:
    """As a lab on lab hosts is, by the same words."""
    with pytest.raises(InputError) as caught:
        boot.setups(shipped(lab))
    assert str(caught.value) == f"write-config: {said}"


def test_every_shipped_lab_has_its_files() -> None:
    """Whatever a topology describes, each file is marked, and its last line is whole."""
    for path in sorted(FILE.parent.glob("*.yaml")):
        lab = topology.read(path)
        for format_ in ("ifupdown", "networkd"):
            for each in (file for one in _setups(lab, format_) for file in one.files):
                assert each.content.startswith(MARK.format(lab.name)), each.path
                assert each.content.endswith("\n"), each.path
                assert not each.content.endswith("\n\n"), each.path


def _setups(lab: Topology, format_: str) -> tuple[boot.Setup, ...]:
    try:
        return boot.setups(lab, format_)
    except InputError:
        return ()
