"""`harness.doctor`: what is found, what is missing, and what people and programs are told."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from harness import doctor
from harness.needs import ABILITIES, MODULES, PROGRAMS, Need, Program
from harness.worker import search

HERE = Need("ip", "iproute2-6.1.0", "links", "apt-get install -y iproute2", "program")
GONE = Need("nsenter", None, "enters a lab", "apt-get install -y util-linux", "program")
UNUSED = Need(
    "tshark", None, "to read captures", "apt-get install -y tshark", "optional", required=False
)


def put_program(folder: Path, name: str, says: str) -> None:
    """Put a program into a folder that answers every option with one line."""
    (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(search, "SBIN", ())
    return folder


def sought(name: str) -> Program:
    """The program of that name among those that a lab needs."""
    return next(each for each in PROGRAMS if name in each.names)


@pytest.mark.parametrize(
    ("release", "manager"),
    [
        ({"ID": "debian"}, "apt"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf"),
        ({"ID": "alpine"}, "apk"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "pacman"),
        ({"ID": "nixos"}, None),
        ({}, None),
    ],
)
def test_package_manager_comes_from_os_release(
    release: dict[str, str], manager: str | None
) -> None:
    """A derived distribution is known by what it is like; an unknown one is not guessed."""
    assert doctor.manager(release) == manager


@pytest.mark.parametrize(
    ("manager", "user", "command"),
    [
        ("apt", 0, "apt-get install -y util-linux"),
        ("apt", 1000, "sudo apt-get install -y util-linux"),
        ("apk", 0, "apk add util-linux-misc"),
        (None, 0, "install util-linux"),
    ],
)
def test_fix_is_the_command_of_this_machine(
    manager: str | None, user: int, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package's name and the manager's command fit the system, with sudo where it is needed."""
    monkeypatch.setattr("os.geteuid", lambda: user)
    assert doctor.install_command(manager, sought("unshare").packages) == command


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda each: each.names[0])
def test_every_program_has_a_package_everywhere(program: Program) -> None:
    """Also on a system that nobody thought of, a package is named."""
    assert program.packages["*"]


def test_program_is_found_with_its_version(path: Path) -> None:
    """The version is taken from what the program says."""
    put_program(path, "unshare", "unshare from util-linux 2.38.1")
    assert doctor.program(sought("unshare"), "apt").found == "util-linux 2.38.1"


def test_program_without_a_version_is_found_by_its_path(path: Path) -> None:
    """Where any version will do, the path says which one will run."""
    put_program(path, "sysctl", "")
    assert doctor.program(sought("sysctl"), "apt").found == str(path / "sysctl")


def test_either_iptables_will_do(path: Path) -> None:
    """A machine with only iptables-legacy lacks nothing."""
    put_program(path, "iptables-legacy", "iptables v1.8.9 (legacy)")
    assert doctor.program(sought("iptables-legacy"), "apt").found == "iptables v1.8.9 (legacy)"


def test_busyboxs_unshare_is_not_enough(path: Path) -> None:
    """The unshare of busybox cannot end its child with itself, so it counts as missing."""
    put_program(path, "unshare", "BusyBox v1.36.1 multi-call binary")
    need = doctor.program(sought("unshare"), "apk")
    assert not need.ok
    assert need.install.endswith("apk add util-linux-misc")


def test_absent_optional_program_is_no_fault(path: Path) -> None:
    """A machine without tshark is fit for a run."""
    assert path.exists()
    assert doctor.program(sought("tshark"), "apt").ok


@pytest.mark.parametrize(
    ("version", "ok"), [((3, 11, 0), True), ((3, 13, 1), True), ((3, 9, 2), False)]
)
def test_python_must_be_new_enough(version: tuple[int, ...], ok: bool) -> None:
    """The oldest Python that will do is 3.11."""
    assert doctor.python(version, "apt").ok is ok


@pytest.mark.parametrize(
    ("user", "capabilities", "found", "fix"),
    [
        (0, (1 << 41) - 1, "root", ""),
        (1000, 0, "user namespaces", ""),
        (0, 1 << 12, None, "this root lacks CAP_SYS_ADMIN"),
        (0, 0, None, "this root lacks CAP_NET_ADMIN and CAP_SYS_ADMIN"),
    ],
)
def test_privilege_is_root_with_its_capabilities(
    user: int, capabilities: int, found: str | None, fix: str
) -> None:
    """Root in a container may lack what a lab needs; the fix says which."""
    need = doctor.privilege(user, capabilities)
    assert need.found == found
    assert found or need.install.startswith(fix)


def test_user_without_namespaces_is_told_why() -> None:
    """What forbids an ordinary user's namespaces is the fix of the privilege that is missing."""
    need = doctor.privilege(1000, 0, "unshare: unshare failed: Operation not permitted")
    assert need.found is None
    assert need.install.endswith("or run it with sudo")


def test_problem_with_a_way_out_is_told_alone() -> None:
    """A problem that says what helps is not followed by kernel options that would not."""
    asked = next(each for each in ABILITIES if each.question == "vlan")
    assert doctor.ability(asked, (None, "too much; run it with sudo")).install == (
        "too much; run it with sudo"
    )


def test_kernel_answers_become_needs() -> None:
    """An answer is what was found; a problem is told with the kernel option that would help."""
    asked = next(each for each in ABILITIES if each.question == "macvlan")
    assert doctor.ability(asked, ("yes", None)).found == "yes"
    refused = doctor.ability(asked, (None, "Operation not supported"))
    assert not refused.ok
    assert refused.install.startswith("Operation not supported; the kernel needs MACVLAN")


def test_kernel_that_cannot_be_asked_is_one_line_each(path: Path) -> None:
    """Without unshare no question can be asked, and every ability says so without a traceback."""
    assert path.exists()
    answers = doctor.ask_kernel()
    assert set(answers) == {each.question for each in ABILITIES}
    assert set(answers.values()) == {(None, "could not be asked: unshare is missing")}


def test_childs_last_words_are_the_problem(path: Path) -> None:
    """What unshare complains of is passed on, one line of it."""
    (path / "unshare").write_text("#!/bin/sh\necho 'unshare: no permission' >&2\nexit 1\n")
    (path / "unshare").chmod(0o755)
    assert doctor.ask_kernel()["veth"] == (None, "could not be asked: unshare: no permission")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's namespaces can do all of it")
def test_asking_the_kernel_leaves_the_machine_as_it_was() -> None:
    """Every question is answered by the kernel itself, in namespaces that are gone afterwards."""
    before = socket.if_nameindex()
    answers = doctor.ask_kernel()
    assert set(answers) == {each.question for each in ABILITIES}
    assert all(bool(found) != bool(problem) for found, problem in answers.values())
    assert socket.if_nameindex() == before
    assert not Path("/run/netns/ask").exists()


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root folder with a kernel 6.1 whose modules depmod has listed."""
    index = tmp_path / "lib/modules/6.1"
    index.mkdir(parents=True)
    (index / "modules.builtin").write_text("kernel/net/packet/af_packet.ko\n")
    (index / "modules.dep").write_text(
        "kernel/drivers/net/macvlan.ko.xz:\nkernel/net/8021q/8021q.ko: kernel/net/802/garp.ko\n"
        "kernel/net/netfilter/xt_MASQUERADE.ko.zst:\n"
    )
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/modules").write_text("macvlan 32768 0 - Live 0x0000000000000000\n")
    return tmp_path


def test_modules_tell_loaded_from_loadable_from_built_in(machine: Path) -> None:
    """What is loaded already is not what a run loads; compressed modules count."""
    assert doctor.module_states(machine, "6.1") == {
        "af_packet": "built in",
        "macvlan": "loaded",
        "8021q": "a run loads it",
        "xt_MASQUERADE": "a run loads it",
    }


def test_only_modules_of_the_datapath_and_firewall_in_use_are_listed(machine: Path) -> None:
    """A run over 8021q and iptables-nft loads no classifier and no legacy table."""
    states = doctor.module_states(machine, "6.1")
    names = {need.what for need in doctor.modules(states, {"8021q", "iptables-nft"})}
    assert {"8021q", "nft_compat", "macvlan"} <= names
    assert not {"cls_bpf", "iptable_nat"} & names


def test_kernel_without_modules_is_one_line(tmp_path: Path) -> None:
    """Where the kernel can load nothing there is nothing to list."""
    states = doctor.module_states(tmp_path, "6.1")
    assert states is None
    assert [need.what for need in doctor.modules(states, set())] == ["kernel modules"]


def test_br_netfilter_is_never_among_the_modules() -> None:
    """br_netfilter would change how the machine's own bridges filter; no run loads it."""
    assert "br_netfilter" not in {module.name for module in MODULES}


def test_missing_has_only_what_is_required() -> None:
    """An optional thing that is absent is not missing."""
    assert doctor.missing((HERE, GONE, UNUSED)) == (GONE,)


def test_table_ends_with_the_fixes() -> None:
    """Below the table, each absent thing has one line that says how to get it."""
    lines = doctor.table((HERE, GONE, UNUSED)).splitlines()
    assert lines[-3:] == [
        "MISSING: nsenter: apt-get install -y util-linux",
        "not here: tshark: apt-get install -y tshark",
        "1 missing",
    ]


def test_json_says_whether_the_machine_is_fit() -> None:
    """A program reads one flag for the machine and one for each need."""
    told = json.loads(doctor.as_json((HERE, GONE, UNUSED)))
    assert told["ok"] is False
    assert [need["ok"] for need in told["needs"]] == [True, False, True]
    assert json.loads(doctor.as_json((HERE, UNUSED)))["ok"] is True


def test_check_asks_all_at_once(path: Path) -> None:
    """On a machine that has nothing every need is told in one go, and nothing raises."""
    assert path.exists()
    needs = doctor.check()
    absent = {need.what for need in doctor.missing(needs)}
    assert {"unshare", "nsenter", "setpriv", "ip", "sysctl", "veth", "VLAN datapath"} <= absent
    assert doctor.table(needs)
