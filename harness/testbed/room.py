"""The first process of the test machines' own namespaces: cables, keys, machines, one command.

`python -m harness.testbed.room LAYOUT CMD...` is started in new namespaces by `__main__`. Its
network namespace is the switches': br-eth1 carries management, br-eth2 is the trunk. When the
command ends, it ends, and the kernel takes all the rest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from harness.testbed.layout import CONTROLLER, DISK_MIB, MACHINES, PLACE, PREFIX, Layout

INIT = Path(__file__).with_name("init.py")
FAKETIME = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")
NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")
STEP_S = 0.01


def main(layout: Layout, argv: Sequence[str]) -> int:
    """Build all, run the command in the controller's network namespace; its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # the command's alone; it starts with the default
    _mount("tmpfs", "/run", "mode=755")
    Path(PLACE).mkdir()
    Path(PLACE, "layout").write_text(layout.write())
    _switches()
    _controller(layout)
    for name in MACHINES:
        _install(name)
    for booted in [boot(name, layout) for name in MACHINES]:
        wait(*booted)
    command = subprocess.Popen(in_controller(argv))
    return reap(command.pid)


def in_controller(argv: Sequence[str]) -> list[str]:
    """The command that runs another in the controller's network namespace."""
    return ["nsenter", "--net=/run/netns/controller", "--", *argv]


def reap(pid: int) -> int:
    """Reap every child, and orphans, until one of them has ended; its exit code as sh(1) has it."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def boot(name: str, layout: Layout) -> tuple[str, subprocess.Popen[str]]:
    """Start a machine with a new network namespace and boot id; `wait` waits for it."""
    _cable(name, layout)
    place = Path(PLACE, name)
    (place / "boot_id").write_text(f"{uuid.uuid4()}\n")
    spec = {
        "name": name,
        "disk": str(place / "disk"),
        "boot_id": str(place / "boot_id"),
        "engine": name in layout.engines,
        "key": Path(PLACE, "ssh/id_ed25519.pub").read_text(),
        "python": layout.python.get(name),
        "cgroup": f"/harness-{Path('/proc/self/ns/pid').stat().st_ino}/{name}",
        "environment": _environment(layout.clock.get(name)),
    }
    with (place / "console").open("w") as console:
        return name, _first(name, spec, console)


def _first(name: str, spec: dict[str, Any], console: IO[str]) -> subprocess.Popen[str]:
    enter = ["nsenter", f"--net=/run/netns/{name}", "--", "unshare", *NAMESPACES, "--"]
    return subprocess.Popen(
        [*enter, sys.executable, "-I", "-S", str(INIT), json.dumps(spec)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=console, text=True,
        start_new_session=True,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip


def wait(name: str, process: subprocess.Popen[str]) -> None:
    """Wait until a machine's services answer."""
    said = process.stdout.readline() if process.stdout else ""
    if said != "ready\n":
        console = Path(PLACE, name, "console").read_text()
        sys.exit(f"the test machine {name} did not boot: {console.strip()}")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    Path(PLACE, name, "pid").write_text(children[0])


def power_off(name: str) -> None:
    """End a machine as a power cut does."""
    pid = int(Path(PLACE, name, "pid").read_text())
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists():
        time.sleep(STEP_S)
    _run("ip", "netns", "delete", name)
    for link in ("eth1", "eth2"):  # the far end goes with the namespace, some time later
        subprocess.run(["ip", "link", "delete", f"{name}-{link}"], stderr=subprocess.DEVNULL,
                       check=False)  # fmt: skip


def on(name: str, argv: Sequence[str]) -> list[str]:
    """The command that runs another on a machine, as on its console."""
    pid = Path(PLACE, name, "pid").read_text()
    return ["nsenter", "--target", pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--", *argv]


def _switches() -> None:
    for bridge in ("br-eth1", "br-eth2"):
        _run("ip", "link", "add", bridge, "type", "bridge")
        _run("ip", "link", "set", bridge, "up")
    # Frames of machines are nothing to the rules of the switches' namespace.
    for kind in ("iptables", "ip6tables", "arptables"):
        setting = Path(f"/proc/sys/net/bridge/bridge-nf-call-{kind}")
        if setting.exists():
            setting.write_text("0")


def _controller(layout: Layout) -> None:
    _run("ip", "netns", "add", "controller")
    _plug("controller", "eth1")
    _ip("controller", "address", "add", f"{CONTROLLER}/{PREFIX}", "dev", "eth1")
    place = Path(PLACE, "ssh")
    place.mkdir(mode=0o700)
    _keygen(place / "id_ed25519")
    (place / "config").write_text(ssh_config(layout, ""))
    home = Path("~/.ssh").expanduser()
    if home.is_dir():  # the user's own keys and settings have no part in this
        _mount("tmpfs", str(home), "mode=700")
    _mount("tmpfs", "/etc/ssh", "mode=755")
    Path("/etc/ssh/ssh_config").write_text(ssh_config(layout, ""))
    (place / "known_hosts").touch()


def ssh_config(layout: Layout, root: str) -> str:
    """Settings of ssh(1) for who sees the controller's files under `root`."""
    lines = []
    for name, address in MACHINES.items():
        lines += [f"Host {name}", f"    HostName {address}"]
        lines += [f"Host {name} {address}", f"    User {layout.login(name)}"]
        if name in layout.jump:
            lines.append(f"    ProxyJump {layout.jump[name]}")
    place = f"{root}{PLACE}/ssh"
    lines += [
        "Host *",
        f"    IdentityFile {place}/id_ed25519",
        f"    UserKnownHostsFile {place}/known_hosts",
        "    IdentitiesOnly yes",
    ]
    return "\n".join([*lines, ""])


def _install(name: str) -> None:
    disk = Path(PLACE, name, "disk")
    disk.mkdir(parents=True)
    _mount("tmpfs", str(disk), f"mode=755,size={DISK_MIB}m")
    (disk / "ssh").mkdir()
    _keygen(disk / "ssh/ssh_host_ed25519_key")
    key = (disk / "ssh/ssh_host_ed25519_key.pub").read_text()
    with Path(PLACE, "ssh/known_hosts").open("a") as file:
        file.write(f"{name},{MACHINES[name]} {key}")


def _cable(name: str, layout: Layout) -> None:
    _run("ip", "netns", "add", name)
    _plug(name, "eth1")
    _plug(name, "eth2")
    _ip(name, "address", "add", f"{MACHINES[name]}/{PREFIX}", "dev", "eth1")
    if name in layout.jump:
        # No address of a rule in a table: what is not ours to count is not in the machine's rules.
        _ip(name, "route", "add", "blackhole", f"{CONTROLLER}/32")


def _plug(node: str, link: str) -> None:
    """Put a cable between a switch and a node's interface."""
    far = f"{node}-{link}"
    # A machine that starts again has the cards that it had.
    mac = f"52:54:00:00:{[*MACHINES, 'controller'].index(node):02x}:{int(link[-1]):02x}"
    peer = ("name", link, "netns", node, "address", mac)
    _run("ip", "link", "add", far, "type", "veth", "peer", *peer)
    _run("ip", "link", "set", far, "master", f"br-{link}", "up")
    for each in ("lo", link):
        _ip(node, "link", "set", each, "up")


def _environment(clock: str | None) -> list[str]:
    if clock is None:
        return []
    found = [path for pattern in FAKETIME for path in Path("/").glob(pattern.lstrip("/"))]
    if not found:
        sys.exit("libfaketime is missing; `apt-get install libfaketime` installs it")
    return [f"LD_PRELOAD={found[0]}", f"FAKETIME={clock}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


def _keygen(path: Path) -> None:
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path))


def _ip(node: str, *words: str) -> None:
    _run("ip", "-netns", node, *words)


def _mount(kind: str, target: str, options: str) -> None:
    _run("mount", "-t", kind, "-o", options, kind, target)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main(Layout.read(sys.argv[1]), sys.argv[2:]))
