"""Container engines inside a lab: a dockerd for each host that carries containers.

An engine runs in its host's network namespace and in the lab's mount and PID namespaces, so it ends
with the lab. All that it writes is on the tmpfs of the lab's own /run: what its programs want under
/etc (its key) and /opt (containerd's folders) goes to overlays there, and the machine's own files
are read through them. Its control groups are the one thing that is the machine's; they are under
one name of the lab's own, `control_group()`.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from typing import Any

from harness.worker import firewall, libraries, namespaces

DIRECTORY = "/run/engine"
"""A folder for each host, with the engine's socket, log and data."""
INSTALLED = "/var/lib/docker"
"""Where an engine keeps its data that nobody told otherwise."""
COVERED = ("/etc", "/opt")
"""What engines write to outside of their own folders (20.10: /etc/docker/key.json,
/opt/containerd)."""
SECURITY = "/sys/kernel/security"
"""Where a kernel says that it has AppArmor. Covered, no engine loads a profile of its own into the
machine's kernel, nor ends because there is no apparmor_parser to do it."""
MASKED = "modprobe"
"""dockerd runs it for br_netfilter, and a kernel module is the machine's."""
HANDS_OFF = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")
"""Of an engine that is there to carry endpoints."""
DEADLINE_S = 120.0
"""An engine answers in 0.3 to 1.5 s; on an emulated machine the two of a lab in half a minute, and
in more where other programs are busy."""
TOO_SLOW = "timeout waiting for containerd to start"
"""What an engine ends with that has waited 15 s for its own containerd, as others kept the CPU."""
SLOWER = 8 if os.cpu_count() == 1 else 1
"""How much longer than usual an engine may be silent: on one CPU, which may be emulated, it waits
for all else that runs there."""
STEP_S, PART = 0.005, 50
"""It is asked anew after such a part of what was waited: where one CPU is emulated, to ask without
pause takes from the engine what it starts with."""
MS_RDONLY = 1
MS_BIND = 4096
"""<linux/mount.h>."""

_settled: dict[str, str] = {}
"""The socket of each engine that was there before the lab, by its host."""
_running: dict[str, subprocess.Popen[bytes]] = {}
_asked: dict[str, tuple[str, str]] = {}
"""The program of each host's engine, and its bridge."""


def settle(node: str, docker: str) -> None:
    """Take the engine that a lab host has."""
    _settled[node] = docker


def path(node: str, name: str) -> str:
    """A file of a host's engine: `sock`, `log`."""
    if node in _settled:
        return _settled[node] if name == "sock" else os.path.join(INSTALLED, name)
    return os.path.join(DIRECTORY, node, name)


def control_group() -> str:
    """The lab's own control group, named after its PID namespace: it is as unique as that is."""
    return f"harness-{os.stat('/proc/self/ns/pid').st_ino}"


def command(node: str, program: str, bridge: str = "") -> list[str]:
    """The command of a host's engine.

    With an address for docker0 it makes that bridge and handles iptables, as engines do by
    themselves; without, it touches neither links nor rules of its host.
    """
    return [
        program, "--config-file", path(node, "daemon.json"),
        "--data-root", path(node, "data"), "--exec-root", path(node, "exec"),
        "--pidfile", path(node, "pid"), "--host", f"unix://{path(node, 'sock')}",
        "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{control_group()}",
        *([f"--bip={bridge}"] if bridge else HANDS_OFF),
    ]  # fmt: skip


def start(node: str, program: str, bridge: str = "") -> None:
    """Start a host's engine, and do not wait for it; `bridge` as `command` has it.

    On a machine of one CPU it waits for those before: at once they would only delay each other.
    """
    if SLOWER > 1:
        for other in _running:
            wait(other)
    if not os.path.isdir(DIRECTORY):
        _cover()
    os.makedirs(path(node, "tmp"))
    with open(path(node, "daemon.json"), "w", encoding="ascii") as file:
        file.write("{}")
    if bridge:
        _iptables(node)
    _asked[node] = (program, bridge)
    _launch(node, program, bridge)


def _launch(node: str, program: str, bridge: str) -> None:
    # An engine finds containerd and runc on PATH: those beside it, where it was unpacked somewhere.
    own = os.path.dirname(program)
    places = [own, os.path.join(os.path.dirname(own), "bin")] if own else []
    if bridge:
        places.insert(0, path(node, "iptables"))
    found = os.pathsep.join([*places, os.environ.get("PATH", os.defpath)])
    # runc has files of its own in either, and neither may be there and writable: of the machine's
    # /run the lab has nothing, and a virtual machine's /tmp is read-only.
    own_files = dict.fromkeys(("TMPDIR", "XDG_RUNTIME_DIR"), path(node, "tmp"))
    environment = {**os.environ, "PATH": found, **own_files}
    argv, mounts = command(node, program, bridge), libraries.mounts(node, program)
    if mounts is not None:
        argv = ["nsenter", f"--mount=/proc/self/fd/{mounts}", *argv]
    with open(path(node, "log"), "ab") as log, namespaces.entered(node):
        _running[node] = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env=environment, pass_fds=() if mounts is None else (mounts,),
        )  # fmt: skip


def wait(node: str) -> None:
    """Wait until a host's engine answers, all being made; OSError with its last words if it ends.

    It takes connections long before, and lets them wait.
    """
    began = time.monotonic()
    while not _answers(node):
        waited = time.monotonic() - began
        if _running[node].poll() is not None:
            said = _last_words(node)
            if not said.endswith(TOO_SLOW) or waited > DEADLINE_S:
                raise OSError(f"dockerd on {node} ended: {said}")
            _launch(node, *_asked[node])
        if waited > DEADLINE_S:
            raise OSError(f"dockerd on {node} gave no answer within {DEADLINE_S:.0f} s")
        time.sleep(max(STEP_S, waited / PART))


def configure(node: str, settings: dict[str, Any]) -> None:
    """Give a host's engine other settings while it runs, as `systemctl reload docker` does."""
    with open(path(node, "daemon.json"), "w", encoding="ascii") as file:
        json.dump(settings, file)
    _running[node].send_signal(signal.SIGHUP)


def restart(node: str, bridge: str = "") -> None:
    """End a host's engine, as `systemctl restart docker` does, and start it as it was.

    Given a `bridge`, one that has touched no rules makes docker0 and handles iptables from now on.
    """
    program, had = _asked[node]
    if bridge and not had:
        _iptables(node)
        _asked[node] = (program, bridge)
    stop(node)
    _launch(node, *_asked[node])


def stop(node: str) -> None:
    """End a host's engine, as `systemctl stop docker` does: also one that was halted hears it."""
    before = _running[node]
    before.send_signal(signal.SIGTERM)
    before.send_signal(signal.SIGCONT)
    try:
        before.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        raise OSError(f"dockerd on {node} did not end within {DEADLINE_S:.0f} s") from None


def halt(node: str) -> None:
    """Have a host's engine hang: it takes connections, and says nothing."""
    _running[node].send_signal(signal.SIGSTOP)


def log(node: str) -> str:
    """What a host's engine has said."""
    with open(path(node, "log"), encoding="utf-8", errors="backslashreplace") as file:
        return file.read()


def _answers(node: str) -> bool:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(DEADLINE_S)
        try:
            opened.connect(path(node, "sock"))
            opened.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return bool(opened.recv(1))
        except OSError:
            return False


def _last_words(node: str) -> str:
    lines = [line for line in log(node).splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _iptables(node: str) -> None:
    """Make a folder whose `iptables` is the one that the lab's own rules are made with.

    Rules of iptables-nft and iptables-legacy beside each other would both decide.
    """
    folder = path(node, "iptables")
    os.mkdir(folder)
    made_with = firewall.backend()
    for name in ("iptables", "ip6tables") if made_with else ():
        program = shutil.which(str(made_with).replace("iptables", name))
        if program:
            os.symlink(program, os.path.join(folder, name))


def _cover() -> None:
    os.mkdir(DIRECTORY)
    for folder in filter(os.path.isdir, COVERED):
        upper, work = (f"{DIRECTORY}/{kind}{folder}" for kind in ("upper", "work"))
        os.makedirs(upper)
        os.makedirs(work)
        options = f"lowerdir={folder},upperdir={upper},workdir={work}"
        _mount("overlay", folder, "overlay", 0, options)
    if os.path.isdir(SECURITY):
        _mount("tmpfs", SECURITY, "tmpfs", MS_RDONLY, "")
    masked = shutil.which(MASKED)
    nothing = shutil.which("true")
    if masked and nothing:
        _mount(nothing, os.path.realpath(masked), "none", MS_BIND, "")


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [word.encode() for word in (source, target, kind)]
    if libc.mount(*words, flags, options.encode()) != 0:
        number = ctypes.get_errno()
        if number == errno.ENODEV:  # mount(2): of file systems
            raise OSError(number, f"no {kind} in this kernel, and engines need it: modprobe {kind}")
        raise OSError(number, f"mount {kind} on {target}: {os.strerror(number)}")
