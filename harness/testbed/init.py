"""The first process of a test machine: mounts, users, services; then it reaps what ends.

`init.py SPEC` with a JSON object. It is in new namespaces already; its network is there and up. It
imports nothing but the standard library, and prints `ready` when all services answer.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COVERED = ("/etc", "/var", "/opt", "/srv", "/mnt", "/usr/local")
"""Folders that a machine has on a disk of its own, over those of the machine that carries it."""
OWN = {"ssh": "/etc/ssh", "docker": "/var/lib/docker", "root": "/root", "home": "/home"}
"""Folders of that disk that show nothing of the carrying machine's."""
FRESH = ("/run", "/tmp", "/dev/shm")  # noqa: S108 - a tmpfs each, new at each boot
PYTHON = Path("/opt/python")
BOOT_ID = "/proc/sys/kernel/random/boot_id"
DEADLINE_S = 30.0
"""sshd answers in 0.1 s, dockerd in one."""
STEP_S = 0.01
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC = 1, 32, 4096, 16384
"""<linux/mount.h>."""
USERS = {"lab": (2000, "lab ALL=(ALL) NOPASSWD: ALL"), "guest": (2001, "guest ALL=(ALL) ALL")}
"""Who may log in beside root: by name the number, and what sudo lets them do."""
SSHD = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys .ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
UseDNS no
PrintMotd no
PrintLastLog no
"""


def main(spec: dict[str, Any]) -> None:
    """Boot, say so, and stay."""
    disk = Path(spec["disk"])
    _mounts(disk, spec["boot_id"], spec.get("python"))
    socket.sethostname(spec["name"])
    _files(spec)
    services = {"sshd": ["/usr/sbin/sshd", "-D", "-e"]}
    if spec["engine"]:
        services["dockerd"] = ["dockerd"]
    _boot_script()
    for name, argv in services.items():
        start(name, argv)
    _wait_until(_sshd_listens, "sshd")
    if spec["engine"]:
        _wait_until(_dockerd_answers, "dockerd")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(STEP_S)


def start(name: str, argv: list[str]) -> None:
    """Start a service; what it says goes to /var/log."""
    # `container` has dockerd load no AppArmor profile into the kernel of all.
    environment = {"PATH": os.environ["PATH"], "container": "testbed"}
    with Path(f"/var/log/{name}.log").open("ab") as log:
        subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            start_new_session=True, cwd="/",
        )  # fmt: skip


def _mounts(disk: Path, boot_id: str, python: str | None) -> None:
    for folder in filter(os.path.isdir, COVERED):
        upper, work = (disk / kind / folder.strip("/").replace("/", "-") for kind in ("up", "work"))
        upper.mkdir(parents=True, exist_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        shutil.copystat(folder, upper)
        _mount(
            "overlay", folder, "overlay", 0, f"lowerdir={folder},upperdir={upper},workdir={work}"
        )
    _mount(boot_id, BOOT_ID, "none", MS_BIND)
    prefix = Path(python).parents[1] if python else None
    if prefix:
        PYTHON.mkdir(exist_ok=True)
        _mount(str(prefix), str(PYTHON), "none", MS_BIND)
    for name, target in OWN.items():
        Path(target).mkdir(parents=True, exist_ok=True)
        (disk / name).mkdir(exist_ok=True)
        _mount(str(disk / name), target, "none", MS_BIND)
    if prefix:  # an interpreter may look for its libraries where it was installed
        Path("/root").chmod(0o711)
        prefix.mkdir(parents=True, exist_ok=True)
        _mount(str(PYTHON), str(prefix), "none", MS_BIND)
        link = Path("/usr/local/bin/python3")
        link.unlink(missing_ok=True)
        link.symlink_to(PYTHON / "bin" / Path(str(python)).name)
    modprobe, nothing = shutil.which("modprobe"), shutil.which("true")
    if modprobe and nothing:  # a kernel module is not this machine's alone
        _mount(nothing, os.path.realpath(modprobe), "none", MS_BIND)
    _sysfs()
    _mount("devpts", "/dev/pts", "devpts", 0, "gid=5,mode=620,ptmxmode=666")
    _mount("none", "/", "none", MS_REMOUNT | MS_BIND | MS_RDONLY)
    for folder in FRESH:
        _mount("tmpfs", folder, "tmpfs", 0, "mode=755" if folder == "/run" else "mode=1777")


def _sysfs() -> None:
    """Mount a /sys that shows this network namespace; the control groups stay in it."""
    kept = "/mnt/cgroup"
    Path(kept).mkdir(exist_ok=True)
    _mount("/sys/fs/cgroup", kept, "none", MS_BIND | MS_REC)
    _mount("sysfs", "/sys", "sysfs", 0)
    _mount(kept, "/sys/fs/cgroup", "none", MS_BIND | MS_REC)


def _files(spec: dict[str, Any]) -> None:
    """Write what a machine has under /etc, once in its life."""
    Path("/run/sshd").mkdir()
    Path("/run/lock").mkdir()
    written = Path("/var/lib/testbed")
    if written.exists():
        return
    written.touch()
    Path("/etc/hostname").write_text(f"{spec['name']}\n")
    Path("/etc/ssh/sshd_config").write_text(SSHD)
    Path("/etc/ssh/authorized_keys").write_text(spec["key"])
    for user, (number, may) in USERS.items():
        _add(Path("/etc/passwd"), f"{user}:x:{number}:{number}::/home/{user}:/bin/sh")
        _add(Path("/etc/group"), f"{user}:x:{number}:")
        _add(Path("/etc/shadow"), f"{user}:*:19000:0:99999:7:::")
        home = Path("/home", user)
        home.mkdir(mode=0o755)
        os.chown(home, number, number)
        if Path("/etc/sudoers.d").is_dir():
            rule = Path("/etc/sudoers.d", user)
            rule.write_text(f"{may}\n")
            rule.chmod(0o440)
    Path("/etc/docker").mkdir(exist_ok=True)
    settings = {"cgroup-parent": spec["cgroup"], "exec-opts": ["native.cgroupdriver=cgroupfs"]}
    Path("/etc/docker/daemon.json").write_text(json.dumps(settings))
    for line in spec["environment"]:
        _add(Path("/etc/environment"), line)


def _add(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


def _boot_script() -> None:
    """Run what this machine was told to do at each boot."""
    script = Path("/etc/rc.local")
    if os.access(script, os.X_OK):
        with Path("/var/log/boot.log").open("ab") as log:
            subprocess.run([str(script)], stdout=log, stderr=log, check=False, cwd="/")


def _sshd_listens() -> bool:
    ports = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(words[1].endswith(":0016") and words[3] == "0A" for words in ports)


def _dockerd_answers() -> bool:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(DEADLINE_S)
        try:
            opened.connect("/run/docker.sock")
            opened.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return bool(opened.recv(1))
        except OSError:
            return False


def _wait_until(condition: Any, service: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            said = Path(f"/var/log/{service}.log").read_text(errors="replace").splitlines()[-5:]
            sys.exit(f"{socket.gethostname()}: {service} gave no answer: {' / '.join(said)}")
        time.sleep(STEP_S)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [word.encode() for word in (source, target, kind)]
    if libc.mount(*words, flags, options.encode()) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"mount {kind} {source} on {target}: {os.strerror(errno)}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
