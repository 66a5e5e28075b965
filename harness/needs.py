"""What a machine must have to carry a lab, as data: programs, kernel abilities, kernel modules.

`doctor` looks for them; `scripts/setup` installs the required programs from the same packages.
"""

from __future__ import annotations

from dataclasses import dataclass

PYTHON = (3, 11)
"""The oldest Python that the package runs on (pyproject.toml says the same)."""


@dataclass(frozen=True)
class Need:
    """One thing that a lab needs, or can use; `found` is None where the machine has it not."""

    what: str
    found: str | None
    why: str
    install: str
    """What provides it: a command where there is one."""
    group: str
    required: bool = True

    @property
    def ok(self) -> bool:
        """False only for a required thing that was not found."""
        return self.found is not None or not self.required


@dataclass(frozen=True)
class Program:
    """A program by the names that do, and the package that has it for each package manager."""

    names: tuple[str, ...]
    why: str
    packages: dict[str, str]
    """Package by manager; `*` is every other one."""
    version: tuple[str, str] | None = None
    """Option, and what its answer must match: busybox has these programs without what we use."""
    required: bool = True


@dataclass(frozen=True)
class Ability:
    """Something that only the kernel can say; `question` is a key of `worker.abilities`."""

    question: str
    what: str
    why: str
    option: str
    """The kernel's configuration options that bring it."""


@dataclass(frozen=True)
class Module:
    """A kernel module that a run makes the kernel load, if `when` is among the kernel's answers."""

    name: str
    why: str
    when: str | None = None


COMMANDS = {
    "apt": "apt-get install -y",
    "dnf": "dnf install -y",
    "apk": "apk add",
    "pacman": "pacman -S --needed",
}
FAMILIES = {
    "debian": "apt",
    "ubuntu": "apt",
    "fedora": "dnf",
    "rhel": "dnf",
    "centos": "dnf",
    "alpine": "apk",
    "arch": "pacman",
}
"""Package manager by ID or ID_LIKE of os-release(5)."""

UTIL_LINUX = {"apk": "util-linux-misc", "*": "util-linux"}
PROGRAMS = (
    Program(
        ("unshare",),
        "gives a lab namespaces of its own",
        UTIL_LINUX,
        ("--version", "util-linux [0-9.]+"),
    ),
    Program(
        ("nsenter",),
        "enters a lab that is up",
        UTIL_LINUX,
        ("--version", "util-linux [0-9.]+"),
    ),
    Program(
        ("setpriv",),
        "ends a lab when its run ends",
        {"apk": "setpriv", "*": "util-linux"},
        ("--version", "util-linux [0-9.]+"),
    ),
    Program(
        ("ip",),
        "links, routes and neighbours as evidence",
        {"dnf": "iproute", "*": "iproute2"},
        ("-V", "iproute2-[^ ,]+"),
    ),
    Program(
        ("iptables-nft", "iptables-legacy"),
        "the gateway's NAT and FORWARD rules",
        {"dnf": "iptables-nft", "*": "iptables"},
        ("--version", "iptables v.+"),
    ),
    Program(
        ("sysctl",),
        "forwarding and filter settings as evidence",
        {"apt": "procps", "apk": "procps", "*": "procps-ng"},
    ),
    Program(
        ("dockerd",),
        "--lab-backend docker, and gateway hosts that run an engine",
        {"apt": "docker.io", "dnf": "moby-engine", "*": "docker"},
        required=False,
    ),
    Program(
        ("busybox",),
        "--lab-backend docker: the image of its containers where no registry answers",
        {"apt": "busybox-static", "apk": "busybox-static", "*": "busybox"},
        required=False,
    ),
    Program(
        ("nft",),
        "--lab-backend docker: what rules there are on its hosts",
        {"*": "nftables"},
        required=False,
    ),
    Program(
        ("ssh",),
        "--lab-backend ssh",
        {"apt": "openssh-client", "dnf": "openssh-clients", "*": "openssh"},
        required=False,
    ),
    Program(
        ("tshark",),
        "to read captures by hand",
        {"dnf": "wireshark-cli", "pacman": "wireshark-cli", "*": "tshark"},
        required=False,
    ),
)
ABILITIES = (
    Ability("namespaces", "namespaces", "every node is one", "NET_NS, PID_NS"),
    Ability("veth", "veth", "the cables of a lab", "VETH"),
    Ability("bridge", "bridge", "the switch between the hosts", "BRIDGE"),
    Ability(
        "vlan",
        "VLAN datapath",
        "eth2.10, by 8021q or else by tc-bpf",
        "VLAN_8021Q, or NET_SCH_INGRESS with NET_CLS_BPF and BPF_SYSCALL",
    ),
    Ability("macvlan", "macvlan", "the interface of every endpoint", "MACVLAN"),
    Ability("packet", "packet sockets", "probes and taps", "PACKET"),
    Ability(
        "masquerade",
        "MASQUERADE and -m state",
        "the gateway's rules",
        "NFT_COMPAT or IP_NF_NAT, with NETFILTER_XT_TARGET_MASQUERADE and _XT_MATCH_CONNTRACK",
    ),
)
MODULES = (
    Module("veth", "the cables of a lab"),
    Module("bridge", "the switch"),
    Module("macvlan", "the endpoints"),
    Module("af_packet", "probes and taps"),
    Module("8021q", "eth2.10", "8021q"),
    Module("sch_ingress", "eth2.10", "tc-bpf"),
    Module("cls_bpf", "eth2.10", "tc-bpf"),
    Module("nf_tables", "the gateway's rules", "iptables-nft"),
    Module("nft_compat", "the gateway's rules", "iptables-nft"),
    Module("nft_chain_nat", "the gateway's rules", "iptables-nft"),
    Module("ip_tables", "the gateway's rules", "iptables-legacy"),
    Module("iptable_filter", "the gateway's rules", "iptables-legacy"),
    Module("iptable_nat", "the gateway's rules", "iptables-legacy"),
    Module("nf_conntrack", "connections through the gateway"),
    Module("nf_nat", "MASQUERADE"),
    Module("xt_MASQUERADE", "MASQUERADE"),
    Module("xt_conntrack", "-m state"),
)
"""br_netfilter is not among them: no run loads it."""
