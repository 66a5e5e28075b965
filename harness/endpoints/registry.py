"""Pull an image from its registry into a file that `docker load` takes.

This runs on the machine itself, because the engines of a lab have no way out; it touches nothing of
the machine but its network, as any download does. The protocol is the OCI distribution
specification's, with Docker's tokens; what is pulled is checked by its digests.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import socket
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from harness.endpoints.reference import DOCKER_HUB, Reference
from harness.errors import HarnessError, InputError, MachineError


class Silent(MachineError):
    """A registry gives no answer, good or bad."""


ANSWER_S = 5.0
"""A registry answers in less than a second; names that do not resolve may take much longer."""
STALLED_S = 20.0
"""Without an octet for so long, a transfer is stuck."""
PULL_S = 300.0
"""A whole image; those for endpoints have a few megabytes."""

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""GOARCH by uname(2)'s machine, where they differ."""
CERTIFICATES = Path("/etc/docker/certs.d")
"""Where an engine looks for a registry's own authority: HOST/ca.crt."""


@contextmanager
def whole(target: Path) -> Iterator[IO[bytes]]:
    """A file to write, which has its name as soon as all is in it, and is gone if that fails."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
        try:
            yield file
        except BaseException:
            Path(file.name).unlink()
            raise
    Path(file.name).replace(target)


def pull(reference: Reference, target: Path) -> None:
    """Pull an image into a file, which is there as a whole or not at all.

    InputError if the registry does not give it, MachineError if there is no answer in time.
    """
    said: SimpleQueue[Exception | None] = SimpleQueue()
    # Nothing ends a name's resolution but its own patience, so it is waited for from outside.
    work = threading.Thread(target=_pull, args=(reference, target, said), daemon=True)
    work.start()
    for within, what in ((ANSWER_S, "no answer"), (PULL_S, "not all of it")):
        try:
            error = said.get(timeout=within)
        except Empty:
            found = f"{what} from {reference.registry} within {within:.0f} s"
            raise Silent(f"{reference} cannot be pulled: {found}") from None
        if isinstance(error, HarnessError):
            raise error
        if error:
            raise MachineError(f"{reference} cannot be pulled: {_reason(error)}") from error


def _pull(reference: Reference, target: Path, said: SimpleQueue[Exception | None]) -> None:
    """Say once that the registry has answered, and once that all is there; or what is wrong."""
    try:
        registry = _Registry(reference)
        manifest = registry.manifest(reference.wanted)
        said.put(None)
        with whole(target) as file:
            registry.save(manifest, file)
        said.put(None)
    except Exception as error:  # noqa: BLE001 - whoever waits for it is told, whatever it is
        said.put(error)


def _reason(error: Exception) -> str:
    """What is wrong, without what libraries wrap it in."""
    inner: Any = error
    while inner:
        error, wrapped = inner, (getattr(inner, "reason", None), *inner.args[:1])
        inner = next((one for one in wrapped if isinstance(one, Exception)), None)
    return str(error).rpartition(": ")[2] or type(error).__name__


class _Registry:
    """One repository of a registry, asked as whoever `docker login` says, else as nobody."""

    def __init__(self, reference: Reference) -> None:
        if not reference.local and not getproxies():
            socket.getaddrinfo(reference.registry.partition(":")[0], None)  # says at once if none
        import requests

        self._reference = reference
        self._session = requests.Session()
        self._session.trust_env = not reference.local  # no proxy leads to this machine itself
        own = CERTIFICATES / reference.registry / "ca.crt"
        self._session.verify = str(own) if own.is_file() else True
        self._sign: Callable[[Any], Any] = lambda request: request

    def manifest(self, wanted: str) -> dict[str, Any]:
        """The manifest of an image of this machine's architecture."""
        accept = ", ".join((*INDEXES, *MANIFESTS))
        answer = self._get(f"manifests/{wanted}", accept)
        octets: bytes = answer.content
        if wanted.startswith("sha256:"):
            _check(hashlib.sha256(octets), wanted)
        found: dict[str, Any] = json.loads(octets)
        if "manifests" in found:
            return self.manifest(self._ours(found["manifests"]))
        if "config" not in found or "layers" not in found:
            raise InputError(f"{self._reference} is no image, or of a form long out of use")
        return found

    def save(self, manifest: dict[str, Any], file: Any) -> None:
        """Write what `docker save` would, layers as they are (image-spec of Docker, v1.2)."""
        config, layers = manifest["config"], manifest["layers"]
        names = [f"{_hex(layer)}.tar" for layer in layers]
        tags = [] if self._reference.digest else [str(self._reference)]
        listed = [{"Config": f"{_hex(config)}.json", "RepoTags": tags, "Layers": names}]
        with tarfile.open(fileobj=file, mode="w") as tar:
            self._add(tar, listed[0]["Config"], config)
            for name, layer in dict(zip(names, layers, strict=True)).items():
                self._add(tar, name, layer)
            entry, octets = tarfile.TarInfo("manifest.json"), json.dumps(listed).encode()
            entry.size = len(octets)
            tar.addfile(entry, io.BytesIO(octets))

    def _add(self, tar: tarfile.TarFile, name: Any, blob: dict[str, Any]) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = blob["size"]
        octets: Any = _Checked(self._get(f"blobs/{blob['digest']}", "*/*", stream=True).raw)
        tar.addfile(entry, octets)
        _check(octets.hash, blob["digest"])

    def _ours(self, listed: list[dict[str, Any]]) -> str:
        machine = platform.machine()
        wanted = ARCHITECTURES.get(machine, machine)
        for entry in listed:
            its = entry.get("platform", {})
            if (its.get("os"), its.get("architecture")) == ("linux", wanted):
                return str(entry["digest"])
        raise InputError(f"{self._reference} is there, but not for linux/{wanted}")

    def _get(self, what: str, accept: str, *, stream: bool = False) -> Any:
        its = self._reference
        scheme = "http" if its.local else "https"
        url = f"{scheme}://{its.registry}/v2/{its.path}/{what}"
        answer = self._ask(url, accept, stream=stream)
        if answer.status_code == 401:  # noqa: PLR2004 - RFC 9110
            self._sign = self._signature(answer.headers.get("WWW-Authenticate", ""))
            answer = self._ask(url, accept, stream=stream)
        if answer.ok:
            return answer
        found = f"{its.registry} says {answer.status_code} {answer.reason}"
        raise InputError(f"{its} cannot be pulled: {found}; `docker login` if it takes a login")

    def _ask(self, url: str, accept: str, *, stream: bool = False, **more: Any) -> Any:
        return self._session.get(
            url, headers={"Accept": accept}, auth=more.pop("auth", self._sign), stream=stream,
            timeout=STALLED_S, **more,
        )  # fmt: skip

    def _signature(self, challenge: str) -> Callable[[Any], Any]:
        """How to sign requests: with a token that the registry's challenge leads to, or a login."""
        from requests.auth import HTTPBasicAuth

        login = _login(self._reference.host)
        basic: Callable[[Any], Any] = HTTPBasicAuth(*login) if login else lambda request: request
        if not challenge.lower().startswith("bearer "):
            return basic
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = asked.pop("realm", "")
        if urlsplit(realm).scheme != "https" and not self._reference.local:
            raise InputError(f"{self._reference.registry} wants a login sent without TLS")
        answer = self._ask(realm, "application/json", params=asked, auth=basic)
        answer.raise_for_status()
        said = answer.json()
        token = said.get("token") or said["access_token"]

        def signed(request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        return signed


class _Checked:
    """A blob on its way, and the hash of what has come of it."""

    def __init__(self, raw: Any) -> None:
        self.hash = hashlib.sha256()
        self._raw, self._end = raw, time.monotonic() + PULL_S

    def read(self, size: int) -> bytes:
        """The next octets; OSError if the whole takes too long."""
        if time.monotonic() > self._end:
            raise TimeoutError("it takes too long")
        octets: bytes = self._raw.read(size)
        self.hash.update(octets)
        return octets


def _check(found: Any, digest: str) -> None:
    if f"sha256:{found.hexdigest()}" != digest:
        raise InputError(f"what came for {digest} has another digest; nothing of it is used")


def _hex(blob: dict[str, Any]) -> str:
    """The hexadecimal part of a digest, which makes a file's name."""
    found = re.fullmatch(r"sha256:([0-9a-f]{64})", str(blob["digest"]))
    if found is None:
        raise InputError(f"{blob['digest']!r:.80} is no sha256 digest")
    return found[1]


def _login(host: str) -> tuple[str, str] | None:
    """Name and password for a registry, from what `docker login` has kept."""
    from docker import auth

    found = auth.load_config().resolve_authconfig(None if host == DOCKER_HUB else host) or {}
    kept = {key.lower(): value for key, value in found.items()}
    name, password = kept.get("username"), kept.get("password")
    return (name, password) if name and password else None
