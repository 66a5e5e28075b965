"""What an image is called: `busybox`, `busybox:1.36`, `registry.example:5000/team/x@sha256:...`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import InputError

DOCKER_HUB = "docker.io"
ITS_REGISTRY = "registry-1.docker.io"
"""What images without a registry's name come from, and the host that has them."""
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_FORM = re.compile(
    rf"(?:(?P<host>localhost|[\w\[][\w.-]*[.:][\w.:\]-]*)/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
"""A first part is a registry's name if it has a dot or a colon, or is `localhost`."""
_FILES = (".tar", ".tar.gz", ".tgz")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?")


@dataclass(frozen=True)
class Reference:
    """An image at a registry, by a tag, or by its digest."""

    host: str
    path: str
    tag: str | None
    digest: str | None

    @property
    def registry(self) -> str:
        """The host to ask."""
        return ITS_REGISTRY if self.host == DOCKER_HUB else self.host

    @property
    def local(self) -> bool:
        """Whether the registry is this machine's own: such need no TLS, for Docker as well."""
        return _LOOPBACK.fullmatch(self.host) is not None

    @property
    def wanted(self) -> str:
        """What to ask for; a digest says more than a tag."""
        return self.digest or self.tag or "latest"

    @property
    def file(self) -> str:
        """A file's name that no other reference has."""
        return re.sub(r"[/:@]", "_", f"{self.host}/{self.path}:{self.wanted}")

    def __str__(self) -> str:
        name = self.path.removeprefix("library/") if self.host == DOCKER_HUB else self.path
        named = name if self.host == DOCKER_HUB else f"{self.host}/{name}"
        tagged = f"{named}:{self.tag}" if self.tag else named
        return f"{tagged}@{self.digest}" if self.digest else tagged


def parse(text: str) -> Reference:
    """Read a reference as docker(1) does. InputError if it is none."""
    found = _FORM.fullmatch(text)
    if found is None or text.endswith(_FILES):
        raise InputError(
            f"{text!r:.80} is neither a file nor the name of an image, as busybox:1.36; "
            "`docker save -o FILE IMAGE` writes such a file"
        )
    host, path, tag, digest = found.group("host", "path", "tag", "digest")
    if host in (None, "index.docker.io", DOCKER_HUB):
        host, path = DOCKER_HUB, path if "/" in path else f"library/{path}"
    return Reference(host, path, tag or (None if digest else "latest"), digest)
