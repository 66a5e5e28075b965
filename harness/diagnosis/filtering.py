"""What a node's rules do with a packet: hook after hook, chain after chain, until one ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from harness.diagnosis.chains import Chain, Condition, Rule
from harness.diagnosis.state import within
from harness.flow import Probe

PROTOCOLS = {
    "icmp": ("icmp", "1"), "tcp": ("tcp", "6"), "udp": ("udp", "17"),
    "icmp6": ("icmpv6", "ipv6-icmp", "58"), "ndp": ("icmpv6", "ipv6-icmp", "58"),
    "icmp-error": ("icmp", "icmpv6", "ipv6-icmp", "1", "58"),
}  # fmt: skip
ETHERTYPES = {"ip": ("ip", "0x800", "2048", "8"), "ip6": ("ip6", "0x86dd", "34525"),
              "arp": ("arp", "0x806", "2054")}  # fmt: skip
OF_FAMILY = {"ip": ("ip", "inet"), "ip6": ("ip6", "inet"), "arp": ("arp",)}
"""The families of tables that see a packet, beside `bridge` and `netdev`."""
PORTS = ("dport", "sport", "tcp dport", "udp dport", "tcp sport", "udp sport")
OF_LAYER4 = ("protocol", "icmp", *PORTS)
ENDING, LEAVING = ("drop", "reject"), ("return", "goto")
"""Verdicts that end a packet, and those after which a chain is not gone on with."""
MAX_DEPTH = 16
"""Jumps, as the kernel allows (NFT_JUMP_STACK_SIZE)."""
ECHO_PORT = 7
TCP_HEADER, OTHER_HEADER = 40, 28


@dataclass(frozen=True)
class Flow:
    """A packet as rules see it."""

    family: str
    """`ip`, `ip6`, `arp`, or nothing for a frame that is none of these."""
    src: str | None
    dst: str | None
    protocol: str
    """`icmp`, `tcp`, `udp`, `icmp6`, or nothing."""
    is_reply: bool = False
    length: int = 0
    """Octets of the IP packet."""
    iif: str = ""
    oif: str = ""
    src_mac: str = ""
    dst_mac: str = ""
    vlan: int | None = None


@dataclass(frozen=True)
class Hit:
    """What ended a packet: a rule, or a chain's policy."""

    chain: Chain
    rule: Rule | None
    """None for the policy."""
    verdict: str
    """`drop` or `reject`."""
    is_certain: bool
    """Whether every condition was answered, or the rule was seen counting."""


Counted = Mapping[tuple[tuple[str, str, str, str], int], int]
"""By chain and number of the rule: how many packets it counted while one cell was sent alone."""


def ended_by(
    chains: Iterable[Chain], hooks: Iterable[str], flow: Flow, counted: Counted | None = None
) -> Hit | None:
    """The first thing that ends a packet at these hooks, in the order in which they are passed."""
    known = list(chains)
    walker = _Walker({chain.key: chain for chain in known}, flow, counted)
    for hook in hooks:
        based = [chain for chain in known if chain.hook == hook and _sees(chain, flow)]
        for chain in sorted(based, key=lambda one: one.priority):
            hit = walker.walk(chain)
            if hit:
                return hit
    return None


def _sees(chain: Chain, flow: Flow) -> bool:
    if chain.family == "netdev":
        return flow.iif in chain.device.split(",") or flow.oif in chain.device.split(",")
    return chain.family == "bridge" or chain.family in OF_FAMILY.get(flow.family, ())


class _Walker:
    def __init__(
        self,
        chains: dict[tuple[str, str, str, str], Chain],
        flow: Flow,
        counted: Counted | None,
    ) -> None:
        self._chains, self._flow, self._counted = chains, flow, counted

    def walk(self, base: Chain) -> Hit | None:
        """From a base chain to its policy."""
        end, hit = self._chain(base, 0)
        if hit:
            return hit
        if not end and base.policy == "drop":
            return Hit(base, None, "drop", is_certain=True)
        return None

    def _chain(self, chain: Chain, depth: int) -> tuple[bool, Hit | None]:
        """(whether a verdict was given, what ended it)."""
        possible = None
        for number, rule in enumerate(chain.rules):
            matched = self.matches(chain, number, rule)
            if matched is False or not rule.verdict:
                continue
            if rule.verdict in ENDING:
                hit = Hit(chain, rule, rule.verdict, is_certain=matched is True)
                if matched:
                    return True, hit
                possible = possible or hit
            elif matched:
                given, there = self._goes_on(chain, rule, depth)
                if given or there:
                    return True, there or possible
                if rule.verdict in LEAVING:
                    break
        return possible is not None, possible

    def _goes_on(self, chain: Chain, rule: Rule, depth: int) -> tuple[bool, Hit | None]:
        """What a rule comes to that takes the packet and does not end it."""
        if rule.verdict in ("jump", "goto"):
            return self._jump(chain, rule.target, depth)
        return rule.verdict != "return", None

    def _jump(self, chain: Chain, target: str, depth: int) -> tuple[bool, Hit | None]:
        there = self._chains.get((chain.tool, chain.family, chain.table, target))
        return self._chain(there, depth + 1) if there and depth < MAX_DEPTH else (False, None)

    def matches(self, chain: Chain, number: int, rule: Rule) -> bool | None:
        """Whether a rule takes the packet; None if nobody can say."""
        answers = [answer(condition, self._flow) for condition in rule.conditions]
        if False in answers:
            return False
        if None not in answers:
            return True
        if self._counted is None or rule.packets is None:
            return None
        return self._counted.get((chain.key, number), 0) > 0


def answer(condition: Condition, flow: Flow) -> bool | None:
    """Whether a packet is as a condition wants it; None if it is not known."""
    found = [_one(condition.field, value, flow) for value in condition.values]
    if not found or (None in found and True not in found):
        return None
    return (True in found) is not condition.inverted


def _one(name: str, value: str, flow: Flow) -> bool | None:
    """Whether a packet has a value in a field; None if the field is not known of it."""
    word = name.partition(" ")[0]
    known = _FIELDS.get(name) or (_length if word == "length" else None)
    return known(name, value, flow) if known else None


def _interface(name: str, value: str, flow: Flow) -> bool | None:
    own = flow.iif if name == "iif" else flow.oif
    return own.startswith(value.rstrip("+*")) if value[-1:] in ("+", "*") else own == value


def _address(name: str, value: str, flow: Flow) -> bool | None:
    return within(flow.src if name == "src" else flow.dst, value)


def _protocol(_name: str, value: str, flow: Flow) -> bool | None:
    return value in ("all", *PROTOCOLS.get(flow.protocol, ()))


def _ether(name: str, value: str, flow: Flow) -> bool | None:
    own = flow.src_mac if name == "ether-src" else flow.dst_mac
    return value.lower() == own if own else None


def _ethertype(_name: str, value: str, flow: Flow) -> bool | None:
    return value in ETHERTYPES.get(flow.family, ())


def _nfproto(_name: str, value: str, flow: Flow) -> bool | None:
    return value == {"ip": "ipv4", "ip6": "ipv6"}.get(flow.family)


def _vlan(_name: str, value: str, flow: Flow) -> bool | None:
    return None if flow.vlan is None else value == str(flow.vlan)


def _pkttype(_name: str, value: str, flow: Flow) -> bool | None:
    if not flow.dst_mac:
        return None
    if flow.dst_mac == "ff:ff:ff:ff:ff:ff":
        return value == "broadcast"
    many = int(flow.dst_mac[1], 16) & 1
    return value == ("multicast" if many else "host")


def _port(name: str, value: str, flow: Flow) -> bool | None:
    protocol, _, end = name.rpartition(" ")
    if flow.protocol not in (protocol or "tcp", protocol or "udp"):
        return False
    if (end == "dport") is flow.is_reply:
        return None  # an ephemeral port, which nobody has written down
    low, colon, high = value.replace("-", ":").partition(":")
    if not low.isdecimal():
        return value == "echo"
    return int(low) <= ECHO_PORT <= int(high if colon and high else low)


def _state(_name: str, value: str, flow: Flow) -> bool | None:
    word = value.lower()
    if word == "invalid":
        return None
    return word == ("established" if flow.is_reply else "new")


ICMP_TYPES = {
    ("icmp", False): ("8", "echo-request"),
    ("icmp", True): ("0", "echo-reply"),
    ("icmp6", False): ("128", "echo-request"),
    ("icmp6", True): ("129", "echo-reply"),
    ("ndp", False): ("135", "nd-neighbor-solicit", "neighbour-solicitation",
                     "neighbor-solicitation"),
    ("ndp", True): ("136", "nd-neighbor-advert", "neighbour-advertisement",
                    "neighbor-advertisement"),
}  # fmt: skip
"""By protocol and whether it is a reply: numbers and names, as iptables(8) and nft(8) have them."""


def _icmp(_name: str, value: str, flow: Flow) -> bool | None:
    if flow.protocol == "icmp-error":
        return None
    return value in (*ICMP_TYPES.get((flow.protocol, flow.is_reply), ()), "any")


def _length(name: str, value: str, flow: Flow) -> bool | None:
    operation = name.partition(" ")[2]
    if not flow.length:
        return None
    low, colon, high = value.partition(":")
    if operation:
        limit = int(low)
        return {
            "<": flow.length < limit, ">": flow.length > limit,
            "<=": flow.length <= limit, ">=": flow.length >= limit,
        }[operation]  # fmt: skip
    return int(low or 0) <= flow.length <= int((high or 65535) if colon else low)


def _arp(name: str, value: str, flow: Flow) -> bool | None:
    if flow.family != "arp":
        return False
    if name == "arp":
        return value in (("reply", "2") if flow.is_reply else ("request", "1"))
    return within(flow.dst if name == "arp-target" else flow.src, value)


_FIELDS: dict[str, Callable[[str, str, Flow], bool | None]] = {
    "iif": _interface, "oif": _interface, "src": _address, "dst": _address,
    "protocol": _protocol, "state": _state, "icmp": _icmp, "ether-src": _ether,
    "ether-dst": _ether, "ethertype": _ethertype, "nfproto": _nfproto, "vlan": _vlan,
    "pkttype": _pkttype, "arp": _arp, "arp-target": _arp, "arp-sender": _arp,
    **dict.fromkeys(PORTS, _port),
}  # fmt: skip


def length_of(kind: str, argument: int | None) -> int:
    """Octets of a probe's IP packet: 16 of token, or an echo request's own size."""
    if kind.startswith("icmp"):
        return (argument or 16) + (48 if kind == "icmp6" else 28)
    return 16 + (TCP_HEADER if kind.startswith("tcp") else OTHER_HEADER)


def protocol_of(kind: str) -> str:
    """A probe's protocol; nothing for a layer-2 probe that rules know no protocol of."""
    if kind in ("ndp", "icmp6"):
        return kind
    word = Probe(kind).like.removesuffix("6")
    return word if word in PROTOCOLS else ""


def is_of_layer4(rule: Rule) -> bool:
    """Whether a rule names a protocol or a port."""
    return any(condition.field in OF_LAYER4 for condition in rule.conditions)


def takes_invalid(rule: Rule) -> bool:
    """Whether a rule asks for what connection tracking calls invalid."""
    return any(
        condition.field == "state" and "invalid" in map(str.lower, condition.values)
        for condition in rule.conditions
    )


def family_of(address: str | None) -> str:
    """The family of a packet to an address; nothing for none."""
    return {4: "ip", 6: "ip6"}[ip_address(address).version] if address else ""
