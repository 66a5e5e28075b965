"""What was asked for by `--backend` and its options -> a way to make endpoints."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness import doctor
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.gateway import with_engines
from harness.endpoints.namespace import NamespaceEndpoints
from harness.errors import InputError, Unsupported
from harness.plan import EndpointKind
from harness.topology import Topology

ENGINE = "dockerd"
SHOWN = "--lab-engine and --lab-image"


@dataclass(frozen=True)
class Backend:
    """`--backend` and what belongs to it."""

    name: str = "netns"
    engines: str = ""
    """Paths of a dockerd for each host in turn, gateway hosts last, commas between them, the last
    for the rest; the machine's own where empty."""
    image: str = ""
    """A file that `docker save` wrote; empty for an image made of the machine's static busybox."""

    def kind(self, topology: Topology) -> EndpointKind:
        """How to make a topology's endpoints.

        InputError if the options or the topology do not fit, Unsupported if the machine lacks an
        engine.
        """
        routers = list(topology.engines)
        made: EndpointKind = NamespaceEndpoints()
        programs: tuple[str, ...] = ()
        if self.name == "docker":
            programs = self._programs("--backend docker needs root, as Docker's engine does")
            made = DockerEndpoints(programs, self._archive())
        elif self.image or (self.engines and not routers):
            raise InputError(f"{SHOWN} are for --lab-backend docker")
        elif routers:
            wanted = f"{routers[0]} of {topology.name} runs a Docker engine"
            programs = self._programs(f"{wanted}, which needs root", f", and {wanted}")
        made.refuse(topology)
        return with_engines(made, topology, programs)

    def _programs(self, root: str, wanted: str = "") -> tuple[str, ...]:
        if os.geteuid() != 0:
            raise Unsupported(f"{root}; use sudo")
        return tuple(_program(path, wanted) for path in (self.engines or ENGINE).split(","))

    def _archive(self) -> str | None:
        if self.image and not Path(self.image).is_file():
            raise InputError(f"{self.image}: no such file; `docker save -o FILE IMAGE` writes one")
        return str(Path(self.image).absolute()) if self.image else None


def _program(path: str, wanted: str) -> str:
    """The whole path of an engine; `wanted` says what for, where it was not asked for by name."""
    found = shutil.which(path, path=doctor.search_path())
    if found:
        return str(Path(found).absolute())
    if path == ENGINE:
        raise Unsupported(f"no {ENGINE} on this machine{wanted}; {doctor.fix(ENGINE)}")
    raise InputError(f"{path!r} is no program; a path of a dockerd is wanted")
