"""Images by name: pulled once from a registry, with a deadline; the default one falls back."""

from __future__ import annotations

import json
import os
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.endpoints import images, registry
from harness.endpoints.images import Image
from harness.endpoints.reference import parse
from harness.errors import HarnessError, InputError, MachineError
from tests.unit import registries
from tests.unit.registries import Registry, digest

LAYER = registries.layer({"bin/sh": b"#!"})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and no Docker on the machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(images, "OWN_PID", tmp_path / "no.pid")
    return tmp_path / "macvlan-harness" / "images"


@pytest.fixture
def here() -> Iterator[Registry]:
    """A registry on this machine."""
    with registries.serving() as registry_:
        yield registry_


@pytest.mark.parametrize(
    ("text", "named", "asked", "wanted"),
    [
        ("busybox", "busybox:latest", "registry-1.docker.io/library/busybox", "latest"),
        ("busybox:1.36", "busybox:1.36", "registry-1.docker.io/library/busybox", "1.36"),
        ("docker.io/team/x", "team/x:latest", "registry-1.docker.io/team/x", "latest"),
        ("localhost/x:1", "localhost/x:1", "localhost/x", "1"),
        ("r.example:5000/a/b_c", "r.example:5000/a/b_c:latest", "r.example:5000/a/b_c", "latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x", "latest"),
        (f"x@{digest(b'')}", f"x@{digest(b'')}", "registry-1.docker.io/library/x", digest(b"")),
        (f"x:1@{digest(b'')}", f"x:1@{digest(b'')}", "registry-1.docker.io/library/x", digest(b"")),
    ],
)
def test_names_are_dockers(text: str, named: str, asked: str, wanted: str) -> None:
    """What is left out is Docker's default; the name is the short one that people see."""
    found = parse(text)
    assert (str(found), f"{found.registry}/{found.path}", found.wanted) == (named, asked, wanted)


@pytest.mark.parametrize(
    "text", ["", "Busybox", "/x/y", "./x", "x:", "x@sha256:12", "a b", "x.tar"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    """A file that is not there included."""
    with pytest.raises(InputError, match="is neither a file nor the name of an image, as busybox"):
        parse(text)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1:5000", True),
        ("localhost", True),
        ("[::1]:80", True),
        ("localhost.example", False),
    ],
)
def test_only_this_machines_own_registry_needs_no_tls(host: str, *, local: bool) -> None:
    """As for Docker."""
    assert parse(f"{host}/x").local is local


def content(tar: tarfile.TarFile, name: str) -> bytes:
    """What is in a file of an archive."""
    file = tar.extractfile(name)
    assert file
    return file.read()


def test_an_image_is_pulled_once(here: Registry, cache: Path) -> None:
    """It is what `docker save` would write, under the name that was asked for."""
    here.put("team/x", "1", LAYER)
    name = f"{here.host}/team/x:1"
    found = images.find(name)
    assert found == Image(name, str(cache / f"{name.replace('/', '_').replace(':', '_')}.tar"))
    with tarfile.open(found.archive) as tar:
        (listed,) = json.loads(content(tar, "manifest.json"))
        config = json.loads(content(tar, listed["Config"]))
        assert listed["RepoTags"] == [name]
        assert set(tar.getnames()) == {"manifest.json", listed["Config"], *listed["Layers"]}
    assert config["rootfs"]["diff_ids"] == [digest(LAYER)]
    here.files.clear()
    assert images.find(name) == found
    assert [path.name for path in cache.iterdir()] == [Path(found.archive or "").name]


def test_an_image_by_its_digest(here: Registry) -> None:
    """It has no tag, so it is called something else in the lab."""
    wanted = here.put("x", "1", LAYER)
    assert images.find(f"{here.host}/x@{wanted}").name == images.LOADED


def test_an_image_of_several_machines(here: Registry) -> None:
    """The one for this machine's; entries without a platform are none."""
    here.put("x", "1", LAYER, ("mips", registries.ours))
    assert images.find(f"{here.host}/x:1").archive
    here.put("y", "1", LAYER, ("mips",))
    with pytest.raises(InputError, match=r"/y:1 is there, but not for linux/"):
        images.find(f"{here.host}/y:1")


@pytest.mark.parametrize("login", ["bearer", "basic"])
def test_a_registry_may_take_a_login(here: Registry, tmp_path: Path, login: str) -> None:
    """A token that it names the place of, or what `docker login` has kept."""
    here.put("x", "1", LAYER)
    here.login = login
    if login == "basic":
        with pytest.raises(InputError, match=r"says 401 .*; `docker login` if it takes a login"):
            images.find(f"{here.host}/x:1")
        kept = {"auths": {here.host: {"auth": "bWU6c2VjcmV0"}}}
        (tmp_path / "config.json").write_text(json.dumps(kept))
    assert images.find(f"{here.host}/x:1").archive


def test_what_the_registry_has_not_is_an_error(here: Registry) -> None:
    """In one sentence, and nothing is kept."""
    with pytest.raises(
        InputError, match=rf"^{here.host}/x:1 cannot be pulled: {here.host} says 404"
    ):
        images.find(f"{here.host}/x:1")


@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_what_has_another_digest_is_not_used(here: Registry, cache: Path, what: str) -> None:
    """Neither manifest nor layer; half an image is not kept."""
    wanted = here.put("x", "1", LAYER)
    for path, (kind, octets) in here.files.items():
        if what in path:
            here.files[path] = (kind, octets[:-1] + b" ")
    with pytest.raises(InputError, match="has another digest; nothing of it is used"):
        images.find(f"{here.host}/x@{wanted}")
    assert list(cache.iterdir()) == []


def test_what_is_no_image_is_an_error(here: Registry) -> None:
    """Such as a manifest of the first form."""
    here.files["x/manifests/1"] = ("application/json", b'{"schemaVersion": 1}')
    with pytest.raises(InputError, match=r"/x:1 is no image, or of a form long out of use"):
        images.find(f"{here.host}/x:1")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("registry.invalid/x", r"registry.invalid/x:latest cannot be pulled: \[Errno -\d\] .+"),
        (
            "127.0.0.1:1/x",
            r"127.0.0.1:1/x:latest cannot be pulled: \[Errno 111\] Connection refused",
        ),
    ],
)
def test_a_registry_that_cannot_be_reached_is_an_error(name: str, reason: str) -> None:
    """At once, in one line."""
    with pytest.raises(MachineError, match=rf"^{reason}$"):
        images.find(name)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The host of a registry that takes connections and says nothing, and little patience."""
    monkeypatch.setattr(registry, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_registry_that_says_nothing_is_an_error_in_time(silent: str) -> None:
    """One sentence, and no hang."""
    began = time.monotonic()
    with pytest.raises(MachineError, match=rf"no answer from {silent} within"):
        images.find(f"{silent}/x")
    assert time.monotonic() - began < 30


def test_the_default_image_falls_back(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Wherever it cannot be pulled it is made; a registry that is silent is not asked each time."""
    asked: list[str] = []

    def pull(wanted: object, target: Path) -> None:
        asked.append(f"{wanted} {target.name}")
        raise registry.Silent("no answer")

    monkeypatch.setattr(registry, "pull", pull)
    assert images.find("") == images.find("") == Image("busybox:latest", None)
    assert asked == ["busybox:latest docker.io_library_busybox_latest.tar"]
    (mark,) = cache.iterdir()
    os.utime(mark, (0, 0))
    images.find("")
    with pytest.raises(HarnessError, match="no answer"):
        images.find("busybox")
    assert len(asked) == 3


def test_the_default_image_is_pulled_where_a_registry_answers(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """Under the name that it has there."""
    monkeypatch.setattr(registry, "pull", lambda _, target: target.write_bytes(b""))
    archive = cache / "docker.io_library_busybox_latest.tar"
    assert images.find("") == Image("busybox:latest", str(archive))


def test_a_cache_that_cannot_be_written_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For the default image it is none."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        MachineError, match=r"^x:1 cannot be kept on this machine: .*Not a directory"
    ):
        images.find("x:1")
    assert images.find("") == Image()


def test_a_file_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is taken, whatever it is called; a folder is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "busybox").write_bytes(b"")
    assert images.find("busybox") == Image(images.LOADED, str(tmp_path / "busybox"))
    with pytest.raises(InputError, match="is no file"):
        images.find(".")


def test_the_machines_own_engine_is_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked only if its process is there: connecting to a socket could start it."""
    monkeypatch.setattr(images, "OWN_SOCKET", "unix:///nowhere/sock")
    assert not images._runs()
    images.OWN_PID.write_text(str(os.getpid()))
    assert not images._runs()
    monkeypatch.setattr(images, "_runs", lambda: True)
    assert images._of_own_docker(parse("busybox")) is None
