"""Where the image of containers comes from: a file, the machine's own Docker, or a registry.

Of the machine's own Docker an image is read if it has it; nothing is pulled into it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from harness.endpoints import reference
from harness.endpoints.reference import Reference
from harness.errors import HarnessError, InputError, MachineError

DEFAULT = "busybox:latest"
LOADED = "endpoint:latest"
"""What an image is called in a lab that has no name with a tag: of a file, or named by digest."""
AGAIN_S = 600.0
"""So long a registry that did not answer is not asked again for the default image."""
OWN_PID, OWN_SOCKET = Path("/run/docker.pid"), "unix:///run/docker.sock"
"""The machine's own engine; to connect to its socket could start it, so it is looked for first."""
OWN_S = 10.0
"""It answers in milliseconds, and reads an image of a few megabytes in less than a second."""


@dataclass(frozen=True)
class Image:
    """What containers are made from."""

    name: str = DEFAULT
    """What the engines are to call it."""
    archive: str | None = None
    """A file that `docker load` takes; None for one made of the machine's static busybox."""


def find(asked: str) -> Image:
    """The image that was asked for; the default one if nothing was.

    InputError if there is no such file or image, MachineError if it cannot be had now. The default
    one can always be made.
    """
    if asked and Path(asked).exists():
        if not Path(asked).is_file():
            raise InputError(f"{asked} is no file; `docker save -o FILE IMAGE` writes one")
        return Image(LOADED, str(Path(asked).absolute()))
    wanted = reference.parse(asked or DEFAULT)
    try:
        archive = _of_own_docker(wanted) or _pulled(wanted, patient=bool(asked))
    except (HarnessError, OSError) as error:
        if not asked:
            return Image()
        if isinstance(error, HarnessError):
            raise
        raise MachineError(f"{asked} cannot be kept on this machine: {error}") from error
    return Image(LOADED if wanted.digest else str(wanted), str(archive))


def folder() -> Path:
    """Where images are kept once they were pulled, or read of the machine's own Docker."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    made = Path(cache) / "macvlan-harness" / "images"
    made.mkdir(parents=True, exist_ok=True)
    return made


def _pulled(wanted: Reference, *, patient: bool) -> Path:
    """An image from its registry, pulled once. One that is not `patient` asks not too often."""
    target = folder() / f"{wanted.file}.tar"
    silent = target.with_suffix(".silent")
    if target.exists():
        return target
    if not patient and silent.exists() and time.time() - silent.stat().st_mtime < AGAIN_S:
        raise InputError(f"{wanted.registry} gave no answer lately")
    from harness.endpoints import registry

    try:
        registry.pull(wanted, target)
    except registry.Silent:
        silent.touch()
        raise
    return target


def _of_own_docker(wanted: Reference) -> Path | None:
    """An image that the machine's own Docker has; None if it has not, or does not run."""
    if not _runs():
        return None
    import docker
    from requests.exceptions import RequestException

    from harness.endpoints import registry

    try:
        client = docker.APIClient(OWN_SOCKET, version="auto", timeout=OWN_S)
        found = client.inspect_image(str(wanted))["Id"].partition(":")[2]
        target = folder() / f"{wanted.file}-{found[:12]}.tar"
        if not target.exists():
            with registry.whole(target) as file:
                file.writelines(client.get_image(str(wanted)))
    except (docker.errors.DockerException, RequestException):
        return None
    return target


def _runs() -> bool:
    try:
        return Path("/proc", OWN_PID.read_text().strip(), "comm").read_text() == "dockerd\n"
    except OSError:
        return False
