"""The hosts are what the cells rest on: forwarding, interfaces, addresses, iptables rules."""


def test_forwarding(on_host):
    """Only the gateway forwards, while it routes or runs an engine; IPv6 where it has any.

    A machine that forwards for others too does so still.
    """
    wanted, sysctl = on_host.expected, on_host.host.sysctl
    asked = () if wanted.forwarding6 is None else ("net.ipv6.conf.all.forwarding",)
    found = [bool(sysctl(key)) for key in ("net.ipv4.ip_forward", *asked)]
    assert found == [wanted.forwarding, wanted.forwarding6][: len(found)]


def test_addresses(on_host):
    """Each interface is there with its IPv4 addresses, and none besides."""
    found = {
        name: tuple(f"{one}" for one in on_host.host.interface(name, family="inet").addresses)
        for name, _ in on_host.expected.addresses
    }
    wanted = {
        name: tuple(cidr.partition("/")[0] for cidr in cidrs)
        for name, cidrs in on_host.expected.addresses
    }
    assert found == wanted


def test_absent_subinterfaces(on_host):
    """No sub-interface is there that has no business there."""
    assert not [name for name in on_host.expected.absent if on_host.host.interface(name).exists]


def test_iptables_rules(on_host):
    """NAT and forward rules are the topology's, in its order, and no others; so is the policy.

    Those of an engine stand before them; a lab host has others for other interfaces.
    """
    found = tuple(
        (table, chain, on_host.expected.lab_rules(_rules(on_host, table, chain)))
        for table, chain, _ in on_host.expected.rules
    )
    assert (found, _rules6(on_host)) == (on_host.expected.rules, on_host.expected.rules6)


def test_no_other_rules(on_host):
    """No table has a rule of anybody else's; an engine's are about its own bridge alone.

    On a lab host: none that names the lab's interfaces.
    """
    saved = on_host.host.check_output(f"{on_host.iptables}-save")
    assert not on_host.expected.strangers(saved.splitlines())


def _rules(on_host, table, chain):
    return on_host.host.check_output(f"{on_host.iptables} -t {table} -S {chain}").splitlines()


def _rules6(on_host):
    if on_host.expected.forwarding6 is None:
        return ()
    ip6tables = on_host.iptables.replace("iptables", "ip6tables")
    return tuple(on_host.host.check_output(f"{ip6tables} -t filter -S FORWARD").splitlines())
