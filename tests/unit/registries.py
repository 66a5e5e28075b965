"""A registry on this machine, by the OCI distribution specification, and images in it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import platform
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
TOKEN = "let-me-in"  # noqa: S105 - for nobody but the test


def digest(octets: bytes) -> str:
    """The digest of a blob."""
    return f"sha256:{hashlib.sha256(octets).hexdigest()}"


def layer(files: dict[str, bytes]) -> bytes:
    """A layer with files, as a tar."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, octets in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(octets)
            tar.addfile(entry, io.BytesIO(octets))
    return made.getvalue()


@dataclass
class Registry:
    """What a registry has, and what it was asked for."""

    host: str = ""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """(media type, octets) by the end of the path."""
    login: str = ""
    """`bearer` or `basic` where it takes a login; of `basic` that is `me:secret`."""
    asked: list[str] = field(default_factory=list)
    """The paths, in order."""

    def put(self, name: str, tag: str, tar: bytes, architectures: tuple[str, ...] = ()) -> str:
        """Add an image of one layer, beneath an index if it has architectures; its digest."""
        config = {
            "architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar)]},
        }  # fmt: skip
        blobs = [json.dumps(config).encode(), gzip.compress(tar, 1, mtime=0)]
        for blob in blobs:
            self.files[f"{name}/blobs/{digest(blob)}"] = ("application/octet-stream", blob)
        listed = [{"digest": digest(blob), "size": len(blob)} for blob in blobs]
        made = {"schemaVersion": 2, "config": listed[0], "layers": listed[1:]}
        found = self._manifest(name, MANIFEST, made)
        if architectures:
            places = [{"os": "linux", "architecture": one} for one in architectures]
            entries = [{"digest": digest(b"?"), "platform": one} for one in places[:-1]]
            entries = [
                {"digest": digest(b"!")},
                *entries,
                {"digest": found, "platform": places[-1]},
            ]
            found = self._manifest(name, INDEX, {"manifests": entries})
        self.files[f"{name}/manifests/{tag}"] = self.files[f"{name}/manifests/{found}"]
        return found

    def _manifest(self, name: str, kind: str, made: Any) -> str:
        octets = json.dumps(made).encode()
        self.files[f"{name}/manifests/{digest(octets)}"] = (kind, octets)
        return digest(octets)


ours = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""The architecture of this machine, as registries call it."""


class Handler(BaseHTTPRequestHandler):
    """Answers for the registry that its server has."""

    registry: Registry

    def do_GET(self) -> None:
        """Give a token, a file, or a reason why not."""
        path = self.path.removeprefix("/v2/")
        self.registry.asked.append(path)
        if path.startswith("/token?"):
            self._say(200, "application/json", json.dumps({"token": TOKEN}).encode())
        elif self.registry.login and not self._is_let_in():
            self._say(401, "application/json", b"{}")
        else:
            found = self.registry.files.get(path)
            self._say(200 if found else 404, *(found or ("application/json", b"{}")))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _is_let_in(self) -> bool:
        basic = base64.b64encode(b"me:secret").decode()
        wanted = {"bearer": f"Bearer {TOKEN}", "basic": f"Basic {basic}"}[self.registry.login]
        return self.headers.get("Authorization") == wanted

    def _say(self, status: int, kind: str, octets: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(octets)))
        if status == 401:
            place = f'realm="http://{self.registry.host}/token",service="it",scope="pull"'
            bearer = self.registry.login == "bearer"
            challenge = f"Bearer {place}" if bearer else 'Basic realm="it"'
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(octets)


@contextmanager
def serving() -> Iterator[Registry]:
    """A registry that answers on a loopback port of its own."""
    registry = Registry()
    handler = type("Handler", (Handler,), {"registry": registry})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        registry.host = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield registry
        finally:
            server.shutdown()
