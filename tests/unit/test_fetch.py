"""`scripts/fetch.py`, with programs of apt and dpkg that fetch nothing and note their calls.

That apt itself refuses what is not signed by the Debian archive is apt's own affair; what is tested
here is what it is told, and what becomes of what it says.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import fetched
from scripts import fetch

STUBS = {
    "apt-get": """
case "$1" in
indextargets) cat "$MACHINE/sources" ;;
update) cp "$APT_CONFIG" "${APT_CONFIG%apt.conf}sources.list" "$MACHINE"
    grep -q wrong-keys "$MACHINE/sources.list" && { echo W: so; echo E: not signed >&2; exit 100; }
    [ ! -e "$MACHINE/unreachable" ] ;;
download) shift; [ ! -e "$MACHINE/cut" ] || exit 100; touch "$@" ;;
esac""",
    "apt-cache": 'cat "$MACHINE/control/$3"',
    "apt-config": """
echo 'Acquire::http::Proxy "http://proxy.example:3128";'
echo 'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "true";'""",
    "dpkg": """
[ "$1" = --compare-versions ] || { echo amd64; exit; }
[ "$2 $3 $4" != "2.36 >= 2.38" ]""",
    "dpkg-query": 'cat "$MACHINE/installed/$4"',
    "dpkg-deb": """
mkdir -p "$3/usr/sbin" "$3/usr/bin" "$3/usr/lib/x86_64-linux-gnu"
case "$2" in
*/docker.io) program=usr/sbin/dockerd ;;
*/containerd) program=usr/bin/containerd ;;
*/runc) program=usr/sbin/runc ;;
*) exit 0 ;;
esac
{ echo '#!/bin/sh'; cat "$MACHINE/program"; } >"$3/$program"
chmod +x "$3/$program" """,
}
CONTROL = {
    "docker.io": "Version: 28.5.2+dfsg4-5\nDepends: libc6 (>= 2.34), adduser, libsystemd0",
    "containerd": "Version: 2.1.9+ds1-5\nDepends: runc (>= 0.1.0~), libc6 (>= 2.34)",
    "runc": "Version: 1.3.6+ds1-1\nDepends: libc6 (>= 2.38), libseccomp2:any (>= 2.5.0)",
    "libc6": "Version: 2.43-7\nDepends: libgcc-s1, libc-extra (= 2.43-7)",
    "libc-extra": "Version: 2.43-7",
}
INSTALLED = {
    "libc6": "ii  2.36",
    "libsystemd0": "ii  252",
    "libseccomp2": "ii  2.5.4",
    "libgcc-s1": "ii  12",
    "adduser": "rc  3",
}


@dataclass(frozen=True)
class Machine:
    """A machine of stubs."""

    folder: Path

    def calls(self) -> list[str]:
        """How the programs were called."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def fetch(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
        """Run the script; what it says if it fails, else nothing."""
        monkeypatch.setattr(sys, "argv", ["fetch.py", "engines", *arguments])
        try:
            fetch.main()
        except SystemExit as end:
            return str(end.code)
        return ""

    def there(self) -> list[str]:
        """What is in the cache, hidden names included."""
        return sorted(path.name for path in fetched.cache().iterdir())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Debian 12, which lacks a C library that is new enough for runc."""
    for folder in ("bin", "control", "installed"):
        (tmp_path / folder).mkdir()
    for name, script in STUBS.items():
        stub = tmp_path / "bin" / name
        stub.write_text(f'#!/bin/sh\necho "{name} $*" >>"$MACHINE/calls"\n{script}\n')
        stub.chmod(0o755)
    for name, text in CONTROL.items():
        (tmp_path / "control" / name).write_text(f"Package: {name}\nSize: 9000000\n{text}\n\n")
    for name, text in INSTALLED.items():
        (tmp_path / "installed" / name).write_text(f"{text}\n")
    (tmp_path / "sources").write_text("http://one.example/debian/ bookworm main Packages\n")
    (tmp_path / "program").write_text("echo Docker version 28.5.2\n")
    (tmp_path / "keys").touch()
    monkeypatch.setattr(fetch, "KEYRINGS", (tmp_path / "keys",))
    release = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    monkeypatch.setenv("MACHINE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Machine(tmp_path)


def test_an_engine_is_unpacked_in_a_folder_of_its_version(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the library packages that the machine lacks, and those alone; nothing else stays."""
    assert machine.fetch(monkeypatch, "forky") == ""
    assert machine.there() == [".lock", "28.5.2"]
    assert (fetched.cache() / "28.5.2/packages").read_text().splitlines() == [
        "docker.io 28.5.2+dfsg4-5 forky",
        "containerd 2.1.9+ds1-5 forky",
        "runc 1.3.6+ds1-1 forky",
        "libc6 2.43-7 forky",
        "libc-extra 2.43-7 forky",
    ]
    assert fetched.find("28.5") == str(fetched.cache() / "28.5.2/usr/sbin/dockerd")
    assert "forky: fetching 45 MB: docker.io, containerd, runc, libc6" in capsys.readouterr().out


def test_a_second_run_calls_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is there."""
    machine.fetch(monkeypatch, "forky")
    before = machine.calls()
    capsys.readouterr()
    assert machine.fetch(monkeypatch, "--newest") == ""
    assert machine.calls() == before
    assert capsys.readouterr().out == ("fetch: forky: 28.5.2 is there already, nothing fetched\n")


def test_what_is_there_is_replaced_only_by_other_packages(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked for again; another suite with the same packages is noted."""
    machine.fetch(monkeypatch, "forky")
    machine.fetch(monkeypatch, "forky", "sid", "--again")
    assert len([call for call in machine.calls() if "download" in call]) == 1
    assert set(fetched.origins(fetched.cache())) == {"forky", "sid"}
    control = machine.folder / "control/runc"
    control.write_text(control.read_text().replace("1.3.6+ds1-1", "1.3.6+ds1-2"))
    machine.fetch(monkeypatch, "forky", "--again")
    assert len([call for call in machine.calls() if "download" in call]) == 2
    assert "runc 1.3.6+ds1-2 forky" in (fetched.cache() / "28.5.2/packages").read_text()
    assert machine.there() == [".lock", "28.5.2"]


def test_apt_has_one_source_and_a_state_of_its_own(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's mirror and proxy, another suite, the Debian archive's keys; no hooks."""
    machine.fetch(monkeypatch, "forky")
    assert (machine.folder / "sources.list").read_text() == (
        f"deb [arch=amd64 signed-by={machine.folder}/keys lang=none target=Packages] "
        "http://one.example/debian/ forky main\n"
    )
    told = (machine.folder / "apt.conf").read_text()
    assert 'Acquire::http::Proxy "http://proxy.example:3128";' in told
    assert "DEP-11" not in told
    assert 'Dir::Etc::parts "/dev/null"' in told
    assert "apt-get update --error-on=any" in machine.calls()


def test_the_first_mirror_whose_keys_are_right_is_taken(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have suites of Debian's names too; security archives and other components do not."""
    (machine.folder / "sources").write_text(
        "http://a.example/debian-security/ bookworm-security main Packages\n"
        "http://b.example/linux/ bookworm stable Packages\n"
        "http://wrong-keys.example/ bookworm main Packages\n"
        "http://one.example/debian/ bookworm main Packages\n"
    )
    assert machine.fetch(monkeypatch, "forky") == ""
    assert "http://one.example/debian/ forky" in (machine.folder / "sources.list").read_text()
    assert machine.fetch(monkeypatch, "sid", "--mirror", "http://wrong-keys.example/") == (
        "fetch: no sid to be had: http://wrong-keys.example/: apt-get update: E: not signed"
    )


@pytest.mark.parametrize("broken", ["cut", "unreachable"])
def test_a_broken_download_leaves_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Said in a sentence; so does what an earlier run could not clear away."""
    (fetched.cache() / ".partial/made").mkdir(parents=True)
    (machine.folder / broken).touch()
    assert "apt-get" in machine.fetch(monkeypatch, "forky")
    assert machine.there() == [".lock"]


def test_programs_that_do_not_run_here_are_not_kept(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is tried before the engine gets its name."""
    (machine.folder / "program").write_text("echo no such library >&2; exit 1\n")
    assert machine.fetch(monkeypatch, "forky") == "fetch: dockerd --version: no such library"
    assert machine.there() == [".lock"]


def test_what_is_missing_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyring and its package, a mirror of Debian, apt itself."""
    ubuntu = {"ID": "ubuntu", "VERSION_CODENAME": "noble"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: ubuntu)
    assert "name one: --mirror URL" in machine.fetch(monkeypatch, "forky")
    monkeypatch.setattr(fetch, "KEYRINGS", (Path("/nowhere/keys"),))
    assert "apt-get install debian-archive-keyring" in machine.fetch(monkeypatch, "forky")
    monkeypatch.setattr(fetch, "KEYRINGS", (machine.folder / "keys",))
    monkeypatch.setenv("PATH", "/nowhere")
    assert machine.fetch(monkeypatch, "forky", "--mirror", "http://one.example") == (
        "fetch: no forky to be had: http://one.example: no dpkg here; "
        "Debian's apt does the fetching"
    )
