"""What was asked for by `--backend` and its options -> a way to make endpoints."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness import plan_on_hosts
from harness.endpoints import images
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.gateway import with_engines
from harness.endpoints.lab_host import LabHostEndpoints
from harness.endpoints.namespace import NamespaceEndpoints
from harness.errors import InputError, Unsupported
from harness.plan import EndpointKind
from harness.topology import Topology
from harness.worker import search

RUN = "pytest suites/ --lab-backend ssh --lab-topology FILE"
SHOWN = "--lab-engine and --lab-image"


@dataclass(frozen=True)
class Backend:
    """`--backend` and what belongs to it."""

    name: str = "netns"
    engines: str = ""
    """Path of a dockerd, or its version, for each host in turn, gateway hosts last, commas between
    them, the last for the rest; the machine's own where empty."""
    image: str = ""
    """What `images.find` takes: an image's name, or a file that `docker save` wrote."""

    def kind(self, topology: Topology, *, own_kernel: bool = True) -> EndpointKind:
        """How to make a topology's endpoints, on this machine's own kernel or on another.

        InputError if the options or the topology do not fit, Unsupported if the machine lacks an
        engine.
        """
        routers = list(topology.engines)
        made: EndpointKind = NamespaceEndpoints()
        programs: tuple[str, ...] = ()
        if self.name == "ssh":
            raise InputError(f"--backend ssh is for `{RUN}`; what stands there, `ssh` enters")
        if self.name == "docker":
            programs = self._programs("--backend docker needs root, as Docker's engine does")
            made = self._docker(topology, programs, own_kernel=own_kernel)
        elif self.image or (self.engines and not routers):
            raise InputError(f"{SHOWN} are for --lab-backend docker")
        elif routers:
            wanted = f"{routers[0]} of {topology.name} runs a Docker engine"
            programs = self._programs(f"{wanted}, which needs root", f", and {wanted}")
        made.refuse(topology)
        return with_engines(made, topology, programs)

    def on_hosts(self, topology: Topology) -> LabHostEndpoints:
        """How to make a topology's endpoints on lab hosts; InputError if it cannot be."""
        if self.engines:
            raise InputError("lab hosts have engines of their own; leave --lab-engine out")
        plan_on_hosts.refuse(topology)
        made = LabHostEndpoints()
        made.refuse(topology)
        if made.engines(topology):
            return LabHostEndpoints(images.find(self.image))
        if self.image:
            raise InputError("--lab-image is for containers, and this topology has none")
        return made

    def _docker(
        self, topology: Topology, programs: tuple[str, ...], *, own_kernel: bool
    ) -> EndpointKind:
        """Containers, of an image that is looked for when it is known that they can be made."""
        from harness import doctor

        made = DockerEndpoints(programs)
        made.refuse(topology)
        for vlan in topology.vlans if own_kernel else ():
            if made.makes_parent(vlan) and doctor.ask_kernel()["vlan"][0] != "8021q":
                raise Unsupported(
                    f"VLAN {vlan.id} says `parent: engine`, and an engine makes "
                    f"{topology.subinterface(vlan.id)} of the kernel's 802.1Q links, which this "
                    "kernel has not; leave the key out, and the harness makes it in another way"
                )
        return DockerEndpoints(programs, images.find(self.image))

    def _programs(self, root: str, wanted: str = "") -> tuple[str, ...]:
        """The engines that were asked for."""
        if os.geteuid() != 0:
            raise Unsupported(f"{root}; use sudo")
        from harness import fetched

        asked = (self.engines or fetched.ENGINE).split(",")
        return tuple(_program(path, wanted) for path in asked)


def _program(path: str, wanted: str) -> str:
    """The whole path of an engine; `wanted` says what for, where it was not asked for by name."""
    from harness import doctor, fetched

    if fetched.VERSION.fullmatch(path):
        return fetched.find(path)
    found = search.found(path)
    if found:
        return str(Path(found).absolute())
    if path == fetched.ENGINE:
        raise Unsupported(f"no {path} on this machine{wanted}; {doctor.fix(path)}")
    raise InputError(f"{path!r} is no program; a dockerd's path is wanted, or its version")
