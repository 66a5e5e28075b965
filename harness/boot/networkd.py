"""A host's part of the lab for systemd-networkd: systemd.network(5), systemd.netdev(5).

networkd runs no commands, so the rules have a service of their own.
"""

from __future__ import annotations

from harness.boot import rules
from harness.boot.given import Given, Leg

FOLDER = "/etc/systemd/network"
ORDER = "05"
"""The first file that matches an interface is the one that counts, by name; netplan's have 10."""


def files(lab: str, given: Given) -> dict[str, str]:
    """Content by path."""
    found = {f"{FOLDER}/{ORDER}-{lab}-{given.trunk}.network": _trunk(given)}
    for leg in given.legs:
        stem = f"{FOLDER}/{ORDER}-{lab}-{leg.name}"
        found |= {f"{stem}.netdev": _netdev(leg), f"{stem}.network": _network(leg)}
    if given.rules:
        found[f"/etc/systemd/system/{service(lab)}"] = _service(lab, given)
    return found


def now(lab: str, given: Given) -> tuple[str, ...]:
    """The commands that take it up without a reboot."""
    of_rules = ("systemctl daemon-reload", f"systemctl restart {service(lab)}")
    return (enable(lab, given), *(of_rules if given.rules else ()), "networkctl reload")


def enable(lab: str, given: Given) -> str:
    """The command without which no boot takes it up."""
    return f"systemctl enable systemd-networkd{f' {service(lab)}' if given.rules else ''}"


def service(lab: str) -> str:
    """The unit that loads the rules."""
    return f"{lab}-rules.service"


def _trunk(given: Given) -> str:
    return "\n".join(
        [
            "[Match]", f"Name={given.trunk}", "",
            "[Link]", f"MTUBytes={given.mtu}", "RequiredForOnline=carrier", "",
            "[Network]", *(f"VLAN={leg.name}" for leg in given.legs), *QUIET, "",
        ]
    )  # fmt: skip


QUIET = ("LinkLocalAddressing=no", "IPv6AcceptRA=no")
"""Of a trunk, and of what is on it: no address but those of the lab."""


def _netdev(leg: Leg) -> str:
    return "\n".join(
        ["[NetDev]", f"Name={leg.name}", "Kind=vlan", f"MTUBytes={leg.mtu}", "",
         "[VLAN]", f"Id={leg.vlan}", ""]
    )  # fmt: skip


def _network(leg: Leg) -> str:
    ipv6 = any(":" in one for one in leg.addresses)
    lines = [
        "[Match]", f"Name={leg.name}", "",
        "[Link]", "RequiredForOnline=carrier", "",
        "[Network]", *(f"Address={one}" for one in leg.addresses),
        *(["IPv6DuplicateAddressDetection=0"] if ipv6 else []), *QUIET,
        "ConfigureWithoutCarrier=yes", "",
    ]  # fmt: skip
    for dst, via in leg.routes:
        lines += ["[Route]", f"Destination={dst}", f"Gateway={via}", ""]
    return "\n".join(lines)


def _service(lab: str, given: Given) -> str:
    away = [rules.take_away(lab, program) for program, _ in given.rules]
    add = [rules.load(lab, program) for program, _ in given.rules]
    return "\n".join(
        [
            "[Unit]", f"Description=iptables rules of the lab {lab}", "",
            "[Service]", "Type=oneshot", "RemainAfterExit=yes",
            *(f'ExecStartPre=/bin/sh -c "{one}"' for one in away),
            *(f'ExecStart=/bin/sh -c "{one}"' for one in add),
            *(f'ExecStop=/bin/sh -c "{one}"' for one in away), "",
            "[Install]", "WantedBy=multi-user.target", "",
        ]
    )  # fmt: skip
