"""Network namespaces of a lab's nodes, named where ip-netns(8) looks for them.

In a private lab the worker's own mount namespace has a tmpfs on /run, so the names are the lab's
own, and so is the lock that iptables-legacy takes there. On a lab host the worker's own network
namespace is a node itself, the machine has /run, and the names are the worker's: open files, which
end with it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyroute2 import IPRoute

DIRECTORY = "/run/netns"
CLONE_NEWNET = 0x40000000
"""<linux/sched.h>."""
MS_BIND = 4096
MNT_DETACH = 2
"""<linux/mount.h>."""

_libc = ctypes.CDLL(None, use_errno=True)
_current: list[str | None] = [None]
ASIDE = "aside/"
"""No node's name."""

_files: dict[str, int] = {}
_machine: dict[str, str] = {}
"""The node that the machine itself is, with its trunk; empty in a private lab."""
_routes: dict[str, IPRoute] = {}


def prepare() -> None:
    """Give the worker's mount namespace a /run of its own. To be called once, in a new lab."""
    _check(_libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755"), "mount tmpfs on /run")
    os.mkdir(DIRECTORY)


def settle(node: str, trunk: str) -> None:
    """Have the machine's own network namespace be a node; of its links only the trunk is the lab's.

    To be called once, on a lab host, instead of `prepare`.
    """
    _machine[node] = trunk
    _files[node] = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def on_machine() -> bool:
    """Whether this is a lab host, which has more to do than the lab."""
    return bool(_machine)


def known_as(node: str, name: str) -> None:
    """Have the machine's own namespace be another node too: what another lab called it."""
    if name not in _files:
        _machine[name] = _machine[node]
        _files[name] = os.dup(_files[node])


def descriptors() -> list[int]:
    """What is open of namespaces."""
    return list(_files.values())


def begin_anew() -> Any:
    """Have this thread, instead of another that stands still, work from its machine's namespace.

    What the other had open is returned, and stays open while it is kept.
    """
    had = dict(_routes)
    _routes.clear()
    _setns(_home())
    _current[0] = None
    return had


def is_machine(node: str) -> bool:
    """Whether a node is the lab host itself."""
    return node in _machine


def of_lab(node: str, interface: str) -> bool:
    """Whether an interface of a node is the lab's: of a lab host the trunk, and what is on it."""
    trunk = _machine.get(node)
    return trunk is None or interface == trunk or interface.startswith(f"{trunk}.")


@contextmanager
def aside() -> Iterator[str | None]:
    """A node to ask the kernel in what it can do, so that nobody else notices."""
    if not _machine:
        yield None  # the worker's own namespace has nothing in it
        return
    create(ASIDE)
    try:
        yield ASIDE
    finally:
        forget(ASIDE)


def create(node: str) -> None:
    """Make a network namespace and name it; its loopback is up."""
    home = _home()
    _check(_libc.unshare(CLONE_NEWNET), "unshare a network namespace")
    try:
        _name(node, "/proc/thread-self/ns/net", os.O_EXCL)
        _current[0] = node
        route(node).link("set", index=1, state="up")
    finally:
        _setns(home)
        _current[0] = None


def adopt(node: str, pid: int) -> None:
    """Name the network namespace of a process; what was known of that name before is forgotten."""
    adopt_file(node, f"/proc/{pid}/ns/net")


def adopt_file(node: str, source: str) -> None:
    """The same by the file that stands for the namespace."""
    forget(node)
    _name(node, source)


def also(node: str, of: str) -> None:
    """Give a node's namespace another name."""
    adopt_file(node, _path(of))


def _name(node: str, source: str, flags: int = 0) -> None:
    """Give a namespace a node's name."""
    if not _machine:
        path = _path(node)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | flags, 0o444))
        bound = _libc.mount(source.encode(), path.encode(), b"none", MS_BIND, None)
        _check(bound, f"mount {path}")
        source = path
    _files[node] = os.open(source, os.O_RDONLY | os.O_CLOEXEC)


def _path(node: str) -> str:
    """Where a node's namespace has its name; nowhere, on a lab host, if there is no such node."""
    if not _machine:
        return os.path.join(DIRECTORY, node)
    return f"/proc/self/fd/{_files[node]}" if node in _files else ""


def is_of(node: str, pid: int) -> bool:
    """Whether a process is in a node's namespace."""
    there, named = os.stat(f"/proc/{pid}/ns/net"), os.stat(_path(node))
    return (there.st_dev, there.st_ino) == (named.st_dev, named.st_ino)


def is_there(node: str) -> bool:
    """Whether a namespace has the name; a container that is found gone has none any more."""
    return os.path.exists(_path(node))


def forget(node: str) -> None:
    """Close what is open of a node's namespace, and take its name away if it has one."""
    netlink = _routes.pop(node, None)
    if netlink is not None:
        netlink.close()
    if node in _files:
        os.close(_files.pop(node))
    path = _path(node)
    if not _machine and is_there(node):
        _check(_libc.umount2(path.encode(), MNT_DETACH), f"unmount {path}")
        os.unlink(path)


@contextmanager
def entered(node: str | None) -> Iterator[None]:
    """Run the body inside a node's namespace: sockets, /proc/sys/net and child processes are its.

    None is the worker's own namespace. Entering twice is free.
    """
    before = _current[0]
    if before == node:
        yield
        return
    _enter(node)
    try:
        yield
    finally:
        _enter(before)


def descriptor(node: str) -> int:
    """An open file of the node's namespace; FileNotFoundError if there is no such node."""
    if node not in _files:
        _home()
        _files[node] = os.open(_path(node), os.O_RDONLY | os.O_CLOEXEC)
    return _files[node]


def route(node: str) -> Any:
    """The node's rtnetlink socket; made on first use and kept."""
    if node not in _routes:
        with entered(node):
            _routes[node] = IPRoute()
    return _routes[node]


def _home() -> int:
    """The worker's own network namespace, remembered before the first change of it."""
    if "" not in _files:
        _files[""] = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    return _files[""]


def _enter(node: str | None) -> None:
    home = _home()
    _setns(home if node is None else descriptor(node))
    _current[0] = node


def _setns(descriptor_: int) -> None:
    _check(_libc.setns(descriptor_, CLONE_NEWNET), "enter a network namespace")


def _check(result: int, what: str) -> None:
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")
