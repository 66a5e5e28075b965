"""What `harness write-config` prints is read by the tools that it is for.

ifup(8) and systemd-networkd make the links on a kernel that has 802.1Q; the rules are loaded by
every iptables(8) that this kernel carries, each in a network namespace of its own.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import boot, topology
from harness.worker.search import found
from tests.lab import uml
from tests.lab.booting import ifup
from tests.lab.hosts import ROOT

DEADLINE_S = 200
"""It takes some 20 s where nothing else runs."""
NETWORKD = Path("/lib/systemd/systemd-networkd")
LAB = topology.read(ROOT / "topologies" / "dual-stack.yaml")
GATEWAY = {
    format_: {file.path: file.content for file in boot.setups(LAB, format_, ("gateway",))[0].files}
    for format_ in ("ifupdown", "networkd")
}
MAIN = """
mount -t tmpfs -o mode=755 tmpfs /run
cp -a /etc /run/etc && mount --bind /run/etc /etc
for program in iptables ip6tables; do for end in "" -save -restore; do
    ln -sf /usr/sbin/$program-legacy$end /etc/alternatives/$program$end
done; done
mkdir -p /run/network /run/bin
cp {ifup} /run/bin/ifup; ln -s ifup /run/bin/ifdown
PATH=/run/bin:$PATH
for each in interfaces.d if-pre-up.d if-up.d if-down.d if-post-down.d; do
    mkdir -p /etc/network/$each
done
rm -f /etc/network/interfaces.d/*
echo 'source /etc/network/interfaces.d/*' >/etc/network/interfaces
cp -r {work}/files/etc/. /etc
ip link add eth2 type veth peer name far
ip link set far up

look() {{
    ip -details -json link >{work}/$1.links
    ip -json address >{work}/$1.addresses
    {{ iptables-save; ip6tables-save; }} | grep '^-[AP]' >{work}/$1.rules
    sysctl -e net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.eth2/10.rp_filter \\
        net.ipv4.conf.eth2/10.send_redirects net.ipv6.conf.eth2/10.accept_ra >{work}/$1.sysctls
}}
sysctl -q -e -p /etc/sysctl.d/90-dual-stack.conf
ifup -a && look up
ifdown eth2 && look down
ifup eth2 eth2.10 eth2.20 && look again
ifdown eth2
ip link set eth2 up
ip link add link eth2 name eth2.10 type vlan id 10
ip address add 172.16.10.1/24 dev eth2.10
ip address add 2001:db8:10::1/64 dev eth2.10 nodad
iptables -t nat -A POSTROUTING -o eth2.10 -j MASQUERADE
ip6tables -A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT
ifup eth2 eth2.10 eth2.20 && look over
ifdown eth2

[ -x {networkd} ] || exit
mkdir -p /run/systemd/netif && chown systemd-network: /run/systemd/netif
mount -o remount,ro /sys
{networkd} &
tries=0
there() {{ ip -json address show up scope global -tentative | grep -o 'db8:[12]0::1"' | wc -l; }}
until [ "$(there)" = 2 ]; do
    tries=$((tries + 1)); [ $tries -lt 300 ] || break; sleep 0.1
done
look networkd
kill $!
"""


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """The folder with all that was found on the other kernel, in one boot."""
    words = {
        "ifup": shlex.quote(str(ifup())),
        "networkd": shlex.quote(str(NETWORKD)),
    }
    with tempfile.TemporaryDirectory() as folder:
        for files in GATEWAY.values():
            write(Path(folder) / "files", files)
        main = MAIN.format(work=shlex.quote(folder), **words)
        uml.boot(Path(folder), main, deadline_s=DEADLINE_S, memory="512M")
        yield Path(folder)


def write(folder: Path, files: dict[str, str]) -> None:
    """Files below a folder."""
    for path, content in files.items():
        there = folder / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(content)


def links(work: Path, moment: str) -> dict[str, tuple[int, str, int]]:
    """VLAN, parent and MTU of every 802.1Q link that is up."""
    read: list[dict[str, Any]] = json.loads(said(work, f"{moment}.links"))
    return {
        one["ifname"]: (one["linkinfo"]["info_data"]["id"], one["link"], one["mtu"])
        for one in read
        if one.get("linkinfo", {}).get("info_kind") == "vlan" and "UP" in one["flags"]
    }


def addresses(work: Path, moment: str) -> dict[str, set[str]]:
    """The addresses of eth2 and what is on it, but those that IPv6 has by itself."""
    read: list[dict[str, Any]] = json.loads(said(work, f"{moment}.addresses"))
    return {
        one["ifname"]: {
            f"{own['local']}/{own['prefixlen']}"
            for own in one["addr_info"]
            if own["scope"] == "global" and not own.get("tentative")
        }
        for one in read
        if one["ifname"].startswith("eth2")
    }


def said(work: Path, name: str) -> str:
    """What was found; if nothing was, what went wrong is shown."""
    path = work / name
    assert path.exists(), (work / "trace").read_text()[-3000:]
    return path.read_text()


LINKS = {"eth2.10": (10, "eth2", 1500), "eth2.20": (20, "eth2", 1500)}
ADDRESSES = {
    "eth2": set(),
    "eth2.10": {"172.16.10.1/24", "2001:db8:10::1/64"},
    "eth2.20": {"172.16.20.1/24", "2001:db8:20::1/64"},
}
SYSCTLS = {
    "net.ipv4.ip_forward = 1",
    "net.ipv6.conf.all.forwarding = 1",
    "net.ipv4.conf.eth2/10.rp_filter = 0",
    "net.ipv4.conf.eth2/10.send_redirects = 0",
    "net.ipv6.conf.eth2/10.accept_ra = 0",
}
RULES = sorted(
    line
    for path, content in GATEWAY["ifupdown"].items()
    if "iptables" in path
    for line in content.splitlines()
    if line.startswith("-A")
)


@pytest.mark.parametrize("moment", ["up", "again", "over"])
def test_ifup_makes_the_links(work: Path, moment: str) -> None:
    """Links, addresses, sysctls and each rule once: also again, and over what was made by hand."""
    assert links(work, moment) == LINKS
    assert addresses(work, moment) == ADDRESSES
    assert sorted(said(work, f"{moment}.rules").splitlines()) == RULES
    assert set(said(work, f"{moment}.sysctls").splitlines()) == SYSCTLS


def test_ifdown_takes_the_links_away(work: Path) -> None:
    """With them the addresses, and every rule of the lab."""
    assert links(work, "down") == {}
    assert addresses(work, "down") == {"eth2": set()}
    assert said(work, "down.rules") == ""


def test_networkd_makes_the_links(work: Path) -> None:
    """The same ones; its sysctls come from udev, which is not there."""
    if not NETWORKD.exists():
        pytest.skip("systemd-networkd is not on this machine")
    assert links(work, "networkd") == LINKS
    assert addresses(work, "networkd") == ADDRESSES


def test_service_of_the_rules_is_a_unit(tmp_path: Path) -> None:
    """The tool of systemd finds no mistake in it, and it would start at a boot."""
    if not found("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine")
    (path,) = [path for path in GATEWAY["networkd"] if path.endswith(".service")]
    unit = tmp_path / Path(path).name
    unit.write_text(GATEWAY["networkd"][path])
    argv = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "WantedBy=multi-user.target" in unit.read_text()


COMMANDS = [
    shlex.split(line)[0].partition("=")[0] + "\t" + shlex.split(line.partition("=")[2])[-1]
    for path, content in GATEWAY["networkd"].items()
    if path.endswith(".service")
    for line in content.splitlines()
    if line.startswith("Exec")
]
"""The commands of the service, each behind the moment that it is for."""


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_rules_are_loaded_beside_others(tmp_path: Path, kind: str) -> None:
    """By the service's own commands, twice: once each; then they go, and the others stay."""
    if not found(f"iptables-{kind}-restore"):
        pytest.skip(f"iptables-{kind} is not on this machine")
    start = "\n".join(one.partition("\t")[2] for one in COMMANDS if not one.startswith("ExecStop"))
    stop = "\n".join(one.partition("\t")[2] for one in COMMANDS if one.startswith("ExecStop"))
    assert len(COMMANDS) == 6
    for program in ("iptables", "ip6tables"):
        for end in ("", "-save", "-restore"):
            (tmp_path / f"{program}{end}").symlink_to(str(found(f"{program}-{kind}{end}")))
    write(tmp_path, {path: text for path, text in GATEWAY["ifupdown"].items() if ".v" in path})
    script = f"""set -e
        mount --bind {tmp_path}/etc/iptables /mnt
        save() {{ {{ iptables-save; ip6tables-save; }} | grep '^-A' || true; }}
        iptables -t mangle -A FORWARD -i eth9 -j ACCEPT
        iptables -A FORWARD -i eth9 -j ACCEPT
        iptables -P FORWARD DROP
        save >{tmp_path}/before
        {start}
        {start}
        save >{tmp_path}/loaded
        {stop}
        {stop}
        save >{tmp_path}/after
        iptables -S FORWARD
    """.replace("/etc/iptables/dual-stack", "/mnt/dual-stack")
    environment = {"PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"}
    argv = ["unshare", "--net", "--mount", "sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    before, loaded, after = (
        sorted((tmp_path / name).read_text().splitlines()) for name in ("before", "loaded", "after")
    )
    assert loaded == sorted([*before, *RULES])
    assert after == before
    assert len(before) == 2
    assert done.stdout.startswith("-P FORWARD DROP\n")


@pytest.mark.parametrize("program", ["iptables", "ip6tables"])
def test_rules_of_every_shipped_lab_are_understood(program: str) -> None:
    """By the restore program itself, which changes nothing then."""
    restore = f"{program}-restore"
    if not found(restore):
        pytest.skip(f"{restore} is not on this machine")
    tried = 0
    for path in sorted((ROOT / "topologies").glob("*.yaml")):
        for content in _rules_of(path, program):
            argv = ["unshare", "--net", restore, "--test", "--noflush"]
            done = subprocess.run(argv, input=content, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (path.name, done.stderr)
            tried += 1
    assert tried > 0


def _rules_of(path: Path, program: str) -> list[str]:
    lab, suffix = topology.read(path), {"iptables": ".v4", "ip6tables": ".v6"}[program]
    if shutil.which("unshare") is None or lab.engines or any(host.hairpin for host in lab.hosts):
        return []
    return [file.content for one in boot.setups(lab) for file in one.files
            if file.path.endswith(suffix)]  # fmt: skip
