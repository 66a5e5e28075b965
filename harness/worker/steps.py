"""Carry out the steps of a plan: one function for each word that a step's `do` can be."""

from __future__ import annotations

from typing import Any, Callable

from pyroute2.netlink.exceptions import NetlinkError

from harness.worker import engine, firewall, journal, keeping, namespaces, netlink, taps, vlan

Step = dict[str, Any]
Operations = dict[str, Callable[[Step], None]]


class PartFailed(OSError):
    """One of the steps failed that a step is made of."""

    def __init__(self, step: Step, reason: str) -> None:
        super().__init__(reason)
        self.step = step


def apply(steps: list[Step], more: Operations | None = None) -> dict[str, Any]:
    """Carry out steps in order; `{"done": how many}`, with `{"reason", "step"}` if one failed.

    `{"unsupported"}` instead says what the machine does not allow whatever the step. `more` has
    operations beside those of this module.
    """
    operations = {**_OPERATIONS, **(more or {})}
    for number, step in enumerate(steps):
        try:
            journal.add(step.get("undo"))
            with keeping.whole_step():
                operations[step["do"]](step)
        except vlan.NotAllowed:
            return {"done": number, "unsupported": vlan.NOT_ALLOWED}
        except PartFailed as error:
            return {"done": number, "reason": str(error), "step": error.step}
        except vlan.NotOurs as error:
            return {"done": number, "reason": _reason(error), "step": step, "foreign": True}
        except (OSError, NetlinkError, IndexError) as error:
            return {"done": number, "reason": _reason(error), "step": step}
    return {"done": len(steps)}


def undo(steps: list[Step], more: Operations | None = None) -> list[dict[str, Any]]:
    """Carry out steps that take others back, whatever fails; `{"reason", "step"}` of what did.

    `foreign` are those whose object is somebody else's by now: ours is no more.
    """
    failed = []
    for step in steps:
        done = apply([_still_there(step)], more)
        foreign = done.get("foreign", False)
        if "reason" in done:
            failed.append({"reason": done["reason"], "step": step, "foreign": foreign})
        if "reason" not in done or foreign:
            journal.drop(step)
    return failed


def _still_there(step: Step) -> Step:
    """A step that takes back, without what is gone already: what it undoes may not have been done.

    A reboot too takes links and rules away.
    """
    kind, nothing = step["do"], {"do": "nothing", "node": step["node"]}
    if kind in ("iptables", "ip6tables"):
        return {**step, "lines": firewall.present(step["node"], kind, step["table"], step["lines"])}
    gone = kind in ("address-delete", "link") and not namespaces.route(step["node"]).link_lookup(
        ifname=step["link"]
    )
    if gone:
        return nothing
    if kind == "address-delete":
        held = namespaces.route(step["node"]).get_addr(address=step["cidr"].partition("/")[0])
        return step if list(held) else nothing
    if kind == "route-delete":
        dst, _, length = step["dst"].partition("/")
        found = namespaces.route(step["node"]).get_routes(dst=dst, dst_len=int(length or 32))
        return step if list(found) else nothing
    return step


def _nothing(step: Step) -> None:
    """Nothing is to be done."""


def _reason(error: Exception) -> str:
    if isinstance(error, IndexError):
        return "no such interface"
    return str(error.args[-1]) if error.args else str(error)


def _namespace(step: Step) -> None:
    namespaces.create(step["node"])


def _leg(step: Step) -> None:
    """Another name for a namespace."""
    namespaces.also(step["node"], step["of"])


def _engine(step: Step) -> None:
    engine.start(step["node"], step["program"], step.get("bridge", ""))


def _sysctl(step: Step) -> None:
    with namespaces.entered(step["node"]):
        for key, value in step["values"].items():
            _write_sysctl(key, value)
        for key, value in step["optional"].items():
            try:
                _write_sysctl(key, value)
            except (FileNotFoundError, PermissionError):
                continue


def _write_sysctl(key: str, value: str) -> None:
    with open(sysctl_path(key), "w", encoding="ascii") as file:
        file.write(value)


def sysctl_path(key: str) -> str:
    """A sysctl's file; as sysctl(8) has it, a slash stands for the dot in an interface's name."""
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))


def _bridge(step: Step) -> None:
    """A bridge without VLAN filtering passes tags; no spanning tree, no snooping, no ageing."""
    route = namespaces.route(step["node"])
    route.link(
        "add", ifname=step["name"], kind="bridge", br_stp_state=0, br_forward_delay=0,
        br_mcast_snooping=0,
    )  # fmt: skip
    route.link("set", index=_index(step["node"], step["name"]), mtu=step["mtu"], state="up")


def _veth(step: Step) -> None:
    route = namespaces.route(step["node"])
    peer_node = namespaces.descriptor(step["peer_node"])
    mac = {"address": step["mac"]} if step["mac"] else {}
    route.link(
        "add", ifname=step["name"], kind="veth", mtu=step["mtu"], **mac,
        peer={"ifname": step["peer"], "mtu": step["peer_mtu"], "net_ns_fd": peer_node},
    )  # fmt: skip
    route.link("set", index=_index(step["node"], step["name"]), state="up")
    master = _index(step["peer_node"], step["master"])
    port = _index(step["peer_node"], step["peer"])
    namespaces.route(step["peer_node"]).link("set", index=port, master=master, state="up")
    if step["hairpin"]:
        namespaces.route(step["peer_node"]).brport("set", index=port, mode=1)


def _vlan(step: Step) -> None:
    made = vlan.SubInterface(step["id"], step["name"], step["mtu"], step.get("mark", ""))
    vlan.add(step["node"], step["parent"], made)


def _namespace_delete(step: Step) -> None:
    """Its link goes now, and not when the kernel comes to the namespace."""
    node = step["node"]
    if namespaces.is_there(node):
        route = namespaces.route(node)
        for index in route.link_lookup(ifname=step["name"]):
            route.link("del", index=index)
    let_go(node)


def let_go(node: str) -> None:
    """Let go of a namespace: what is open of it keeps it, and its macvlan with its MAC address."""
    taps.let_go(node)
    netlink.forget(node)
    namespaces.forget(node)


def _link(step: Step) -> None:
    namespaces.route(step["node"]).link(
        "set", index=_index(step["node"], step["link"]), state=step["state"]
    )


def _vlan_delete(step: Step) -> None:
    vlan.delete(step["node"], step["parent"], step["id"], step["name"], step.get("mark", ""))


def _macvlan(step: Step) -> None:
    parent = _index(step["parent_node"], step["parent"])
    namespaces.route(step["parent_node"]).link(
        "add", ifname=step["name"], kind="macvlan", macvlan_mode=step["mode"], link=parent,
        address=step["mac"], net_ns_fd=namespaces.descriptor(step["node"]),
    )  # fmt: skip
    index = _index(step["node"], step["name"])
    alias = {"ifalias": step["mark"]} if "mark" in step else {}
    namespaces.route(step["node"]).link("set", index=index, state="up", **alias)


def _address(step: Step) -> None:
    _change_address("add", step)


def _address_delete(step: Step) -> None:
    _change_address("del", step)


def _change_address(verb: str, step: Step) -> None:
    address, prefix = step["cidr"].split("/")
    namespaces.route(step["node"]).addr(
        verb, index=_index(step["node"], step["link"]), address=address, prefixlen=int(prefix)
    )


def _route(step: Step) -> None:
    namespaces.route(step["node"]).route("add", dst=step["dst"], gateway=step["via"])


def _route_delete(step: Step) -> None:
    namespaces.route(step["node"]).route("del", dst=step["dst"], gateway=step["via"])


def _iptables(step: Step) -> None:
    done = firewall.restore(
        step["node"], step["table"], step["lines"], step["policies"], ipv6=step["do"] == "ip6tables"
    )
    if done["code"] != 0:
        raise OSError(done["code"], "; ".join(done["err"].split("\n")).strip("; "))


def _index(node: str, link: str) -> int:
    return int(namespaces.route(node).link_lookup(ifname=link)[0])


_OPERATIONS: Operations = {
    "nothing": _nothing,
    "namespace": _namespace,
    "leg": _leg,
    "engine": _engine,
    "sysctl": _sysctl,
    "namespace-delete": _namespace_delete,
    "link": _link,
    "bridge": _bridge,
    "veth": _veth,
    "vlan": _vlan,
    "vlan-delete": _vlan_delete,
    "macvlan": _macvlan,
    "address": _address,
    "address-delete": _address_delete,
    "route": _route,
    "route-delete": _route_delete,
    "iptables": _iptables,
    "ip6tables": _iptables,
}
