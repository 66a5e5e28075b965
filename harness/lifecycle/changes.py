"""Containers and engines of a lab, changed while it is up."""

from __future__ import annotations

from typing import Any

from harness.endpoints.containers import lifecycle
from harness.errors import UnknownNode
from harness.lab import Lab
from harness.plan import Step

PORT = 7007
"""Where a container's own server answers."""
SERVER = ("nc", "-l", "-p", str(PORT), "-e", "cat")
"""busybox's: it takes one connection, and sends back what comes."""


class Container:
    """A container of a lab. After each change its namespace is entered again.

    What a test has started in it with `lab.start` stays in the old namespace, where nothing is.
    """

    def __init__(self, lab: Lab, name: str) -> None:
        known = tuple(end.name for end in lab.topology.containers)
        if name not in known:
            raise UnknownNode("the lab", name, known)
        self._lab, self._end = lab, lab.topology.endpoint(name)
        self._legs = lab.topology.legs[name]

    @property
    def name(self) -> str:
        """What it is called."""
        return self._end.name

    @property
    def running(self) -> bool:
        """Whether it runs, as its engine says."""
        return self.name in Engine(self._lab, self._end.host).running

    def restart(self) -> None:
        """`docker restart`. BuildError if it then does not run, or has a parent that is down."""
        self._change(self._docker("restart"), *self._entered())

    def stop(self) -> None:
        """`docker stop`."""
        self._change(self._docker("stop"))

    def start(self) -> None:
        """`docker start`; see `restart`."""
        self._change(self._docker("start"), *self._entered())

    def remake(self, mac: str = "") -> None:
        """`docker rm` and `docker run`, the address the same; `mac` for another MAC address."""
        made = made_by(self._lab, self._end.host, "container", self.name)
        made = changed(made, mac=mac) if mac else made
        joined = joined_by(self._lab, self._end.host, self.name)
        self._change(self._docker("remove", "rm", "--force"), made, *joined, *self._entered())

    def disconnect(self) -> None:
        """`docker network disconnect` from its network."""
        self._change(self._docker("disconnect", "network", "disconnect", self._network))

    def connect(self) -> None:
        """`docker network connect` to its network, with its address and MAC address.

        Its interface is new: engines 20.10 and 26.1 call it eth1, 28.5 calls it eth0.
        """
        end = self._end
        options = ["--ip", str(end.address)]
        options += ["--ip6", str(end.address6)] if end.address6 else []
        connect = self._docker("connect", "network", "connect", *options, self._network)
        own = {"mac": end.mac, "address6": str(end.address6) if end.address6 else None}
        adopt = {"do": "adopt", "node": end.name, "host": end.host}
        self._change({**connect, **own}, adopt, self._carrier())

    def serve(self) -> None:
        """Start a server in it that answers one TCP connection on `PORT`, and ends with it."""
        step = self._docker("execute", "exec", "--detach")
        argv = [*step["argv"], *SERVER]
        self._lab.change(({**step, "command": list(SERVER), "argv": argv},), lifecycle.apply)

    def _change(self, *steps: Step) -> None:
        nodes = [leg.name for leg in self._legs]
        self._lab.change(({"do": "let-go", "nodes": nodes}, *steps), lifecycle.apply)

    def _entered(self) -> tuple[Step, ...]:
        kind, topology = self._lab.endpoints, self._lab.topology
        steps = [step for leg in self._legs for step in kind.steps(topology, leg)]
        return (*steps, self._carrier())

    def _carrier(self) -> Step:
        parent = self._lab.topology.subinterface(self._end.vlan)
        return {"do": "carrier", "node": self.name, "host": self._end.host, "parent": parent}

    @property
    def _network(self) -> str:
        return self._lab.topology.vlan(self._end.vlan).network

    def _docker(self, verb: str, *words: str) -> Step:
        argv = ["docker", *(words or (verb,)), self.name]
        return {
            "do": "docker", "node": self._end.host, "verb": verb, "name": self.name, "argv": argv,
            "network": self._network, "address": str(self._end.address),
        }  # fmt: skip


class Engine:
    """The engine of a host of a lab."""

    def __init__(self, lab: Lab, host: str) -> None:
        if host not in lab.engines:
            raise UnknownNode("the lab", host, lab.engines)
        self.host, self._lab = host, lab

    @property
    def running(self) -> tuple[str, ...]:
        """The containers that run on it."""
        return tuple(sorted(self._lab.call(lifecycle.running, self.host)))

    def restart(self, *, live_restore: bool, bridge: str = "") -> None:
        """`systemctl restart docker`, with or without live-restore in its daemon.json.

        Containers that run then are entered again; those that ended are to be started. With an
        address for docker0, `198.51.100.1/24`, the engine makes that bridge and handles iptables
        from now on, as engines do unless they are told not to.
        """
        carried = [end for end in self._lab.topology.endpoints if end.host == self.host]
        restart: Step = {
            "do": "engine-restart", "node": self.host, "live_restore": live_restore,
            "bridge": bridge, "argv": ["systemctl", "restart", "docker"],
        }  # fmt: skip
        let_go = {"do": "let-go", "nodes": [end.name for end in carried]}
        self._lab.change((let_go, restart), lifecycle.apply)
        running, kind = self.running, self._lab.endpoints
        survived = [end for end in carried if end.container in running]
        steps = [step for end in survived for step in kind.steps(self._lab.topology, end)]
        self._lab.change(steps, lifecycle.apply)


def made_by(lab: Lab, host: str, do: str, name: str) -> Step:
    """The step of the plan by which a network or a container was made on a host's engine."""
    return _planned(lab, host, do, name)[0]


def joined_by(lab: Lab, host: str, name: str) -> list[Step]:
    """The steps of the plan by which a container was given its further legs."""
    return _planned(lab, host, "connect", name)


def _planned(lab: Lab, host: str, do: str, name: str) -> list[Step]:
    made = lab.endpoints.together(lab.topology)
    groups = [group for step in made for group in step.get("groups", ())]
    wanted = (host, do, name)
    return [
        step
        for group in groups
        for step in group
        if (step["node"], step["do"], step.get("name")) == wanted
    ]


def changed(step: Step, **values: Any) -> Step:
    """A step with other values, in its words too."""
    words = {str(step[key]): str(value) for key, value in values.items()}
    return {**step, **values, "argv": [words.get(word, word) for word in step["argv"]]}
