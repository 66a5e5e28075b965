"""Engines by their version: which there are, which is meant, and what one brings along."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from harness import fetched
from harness.backends import Backend
from harness.cli import labs
from harness.errors import InputError
from harness.worker import libraries, search
from tests.unit.labs import TUTORIAL


def program(path: Path, said: str = "") -> str:
    """A dockerd that says its version."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Three engines in the cache, and an older one of the machine's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SUDO_USER", raising=False)
    place = tmp_path / "macvlan-harness/engines"
    found = {
        version: program(place / version / "usr/sbin/dockerd")
        for version in ("28.5.10", "28.5.9", "26.1.5")
    }
    own = program(tmp_path / "bin/dockerd", "Docker version 20.10.24+dfsg1, build 5d6db84")
    monkeypatch.setattr(search, "path", lambda: f"{tmp_path / 'bin'}:/bin")
    return {**found, "20.10.24": own}


def test_the_newest_comes_last(there: dict[str, str]) -> None:
    """By numbers, not by letters."""
    assert list(fetched.known()) == ["20.10.24", "26.1.5", "28.5.9", "28.5.10"]
    assert fetched.known() == there


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("28", "28.5.10"),
        ("28.5", "28.5.10"),
        ("28.5.9", "28.5.9"),
        ("20.10", "20.10.24"),
        ("26.1.5", "26.1.5"),
    ],
)
def test_a_version_may_be_cut_short(there: dict[str, str], asked: str, meant: str) -> None:
    """Then it is the newest that it begins, the machine's own among them."""
    assert fetched.find(asked) == there[meant]


@pytest.mark.parametrize("asked", ["28.5.1", "2", "29"])
def test_an_unknown_version_lists_what_is_there(there: dict[str, str], asked: str) -> None:
    """And names what fetches more; 28.5.1 does not begin 28.5.10."""
    del there
    with pytest.raises(InputError) as error:
        fetched.find(asked)
    assert str(error.value) == (
        f"no Docker engine {asked} here (there: 20.10.24, 26.1.5, 28.5.9, 28.5.10); "
        "`make engines` fetches newer ones"
    )


def test_without_any_engine_none_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a machine whose dockerd says nothing that is understood."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program(tmp_path / "bin/dockerd", "no idea")
    monkeypatch.setattr(search, "path", lambda: f"{tmp_path / 'bin'}:/bin")
    with pytest.raises(InputError, match="there: none"):
        fetched.find("28.5")


def test_root_by_sudo_has_the_engines_of_who_called_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make engines` needs no root, and the lab does."""
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/paths/do/not/count")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "ann")
    monkeypatch.setattr(pwd, "getpwnam", {"ann": SimpleNamespace(pw_dir="/home/ann")}.__getitem__)
    own = tmp_path / ".cache/macvlan-harness/engines"
    assert fetched.caches() == (own, Path("/home/ann/.cache/macvlan-harness/engines"))
    monkeypatch.setenv("SUDO_USER", "nobody-knows")
    assert fetched.caches() == (own,)


def test_engines_are_chosen_by_version_and_path(
    there: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each host in turn, mixed as one likes."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    kind = Backend("docker", f"20.10,{there['26.1.5']}").kind(TUTORIAL)
    assert [step["program"] for step in kind.ahead(TUTORIAL)] == [
        there["20.10.24"],
        there["26.1.5"],
    ]


def test_versions_are_completed(there: dict[str, str]) -> None:
    """The last of several, those before it kept."""
    del there
    context, parameter = click.Context(labs.up), labs.up.params[2]
    assert labs.engine_versions(context, parameter, "26") == ["26.1.5"]
    offered = labs.engine_versions(context, parameter, "20.10,28")
    assert offered == ["20.10,28.5.9", "20.10,28.5.10"]


def test_an_unpacked_engine_may_bring_libraries(tmp_path: Path) -> None:
    """Its root tells where they belong; the machine's own engine has none of its own."""
    engine = tmp_path / "28.5[x]/usr/sbin/dockerd"
    assert libraries.where(str(engine)) is None
    brought = tmp_path / "28.5[x]/usr/lib/x86_64-linux-gnu"
    brought.mkdir(parents=True)
    assert libraries.where(str(engine)) == (str(brought), "/usr/lib/x86_64-linux-gnu")
    assert libraries.where("/usr/sbin/dockerd") is None
