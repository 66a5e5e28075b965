"""The parameters of the kernel that each namespace of a lab is given."""

from __future__ import annotations

from typing import Any

SYSCTLS = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.conf.{}.rp_filter": "0",
    "net.ipv4.conf.{}.arp_ignore": "0",
    "net.ipv4.conf.{}.arp_announce": "0",
    "net.ipv4.conf.{}.arp_filter": "0",
    "net.ipv4.conf.{}.arp_accept": "0",
    "net.ipv4.conf.{}.arp_notify": "0",
    "net.ipv4.conf.{}.proxy_arp": "0",
    "net.ipv4.conf.{}.accept_local": "0",
    "net.ipv4.conf.{}.accept_redirects": "0",
    "net.ipv4.conf.{}.send_redirects": "0",
    "net.ipv4.icmp_echo_ignore_all": "0",
    "net.ipv4.icmp_ratelimit": "0",
    "net.ipv4.tcp_fastopen": "1",
    "net.ipv4.icmp_ratemask": "0",
}
"""What every namespace is given. A namespace inherits some of the machine's values, so nothing that
the lab relies on is left to chance; without a rate mask no ICMP error counts against the budget
that all share (icmp_msgs_burst, 50 at once). `{}` stands for `all` and `default`."""

IPV6_SYSCTLS = {
    "net.ipv6.conf.{}.disable_ipv6": "0",
    "net.ipv6.conf.{}.forwarding": "0",
    "net.ipv6.conf.{}.hop_limit": "64",
    "net.ipv6.conf.{}.accept_ra": "0",
    "net.ipv6.conf.{}.accept_redirects": "0",
    "net.ipv6.conf.{}.autoconf": "0",
    "net.ipv6.conf.{}.accept_dad": "0",
    "net.ipv6.conf.{}.dad_transmits": "0",
    "net.ipv6.conf.{}.router_solicitations": "0",
    "net.ipv6.conf.{}.proxy_ndp": "0",
    "net.ipv6.icmp.ratelimit": "0",
    "net.ipv6.icmp.ratemask": "255",
}
"""What every namespace with IPv6 addresses is given besides. Without duplicate address detection an
address is there at once. The rate mask names the ICMPv6 types that count against the budget that
all share: 255 is reserved (RFC 4443, section 2.1), so none does."""

NO_IPV6_SYSCTLS = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}
"""What every other is given where the kernel has IPv6."""

OPTIONAL_SYSCTLS = {
    "net.ipv4.icmp_msgs_per_sec": "1000000",
    "net.bridge.bridge-nf-call-iptables": "0",
    "net.bridge.bridge-nf-call-ip6tables": "0",
    "net.bridge.bridge-nf-call-arptables": "0",
}
"""Set where the kernel has them: br_netfilter may be absent, and the ICMP budget is a namespace's
own since Linux 6.14 only."""


def sysctls(node: str, *interfaces: str, ipv6: bool) -> dict[str, Any]:
    """The step that gives a namespace its sysctls, and interfaces that are there already theirs."""
    required: dict[str, str] = {}
    for key, value in (SYSCTLS | IPV6_SYSCTLS if ipv6 else SYSCTLS).items():
        for name in ("all", "default", *interfaces) if "{}" in key else ("",):
            required[key.format(name)] = value
    optional = OPTIONAL_SYSCTLS if ipv6 else NO_IPV6_SYSCTLS | OPTIONAL_SYSCTLS
    return {"do": "sysctl", "node": node, "values": required, "optional": optional}
