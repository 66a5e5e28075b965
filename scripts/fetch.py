"""Fetch packages of other Debian suites into the user's cache: unpacked there, installed nowhere.

apt does the fetching, with a state folder of its own and one source: a mirror that this machine's
own apt knows, another suite, the keys of the Debian archive. So apt verifies what it fetches, and
the machine's packages and lists stay as they are. It needs no root.

    make engines                    Docker engines of their suites, each suite's once
    make kernels                    kernels of theirs, to run labs on in virtual machines
    make kernels ARGS=--newest      of the last of the suites only
    make kernels ARGS=--again       look whether the suites have newer ones by now
"""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import fetched, kernels

SUITES = {"engines": ("trixie", "forky"), "kernels": ("bookworm", "trixie", "forky")}
"""Those with newer engines than Debian 12, and with other kernels; the newest last."""
ENGINE = ("docker.io", "containerd", "runc")
KERNEL_PARTS = re.compile(r"linux-(image|binary|modules)-\d")
"""The packages that a kernel is made of, some suites' of several; those for the cloud lack 9p."""
PROGRAMS = ("sbin/dockerd", "bin/containerd", "sbin/runc")
KEYRINGS = tuple(
    Path("/usr/share/keyrings", f"debian-archive-keyring.{kind}") for kind in ("gpg", "pgp")
)
CLASSES = ("stable", "oldstable", "testing", "unstable", "sid")
"""What a source may call a suite of Debian instead of its code name."""
TARGET = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)"
DEPENDENCY = re.compile(r"(?P<name>[^\s(:]+)(?::\w+)?(?:\s*\((?P<op>[<>=]+)\s*(?P<version>\S+)\))?")
"""`libc6 (>= 2.38)`, deb-control(5)."""


class CannotFetchError(Exception):
    """Why nothing could be fetched, in a sentence."""


@dataclass(frozen=True)
class Suite:
    """A suite of a mirror, with apt's state for it alone."""

    name: str
    state: Path

    def run(self, *command: str, folder: Path | None = None) -> str:
        """What a program of apt says."""
        environment = {**os.environ, "APT_CONFIG": str(self.state / "apt.conf"), "LC_ALL": "C"}
        return said(*command, folder=folder, environment=environment)

    def fields(self, package: str) -> dict[str, str]:
        """What the suite says of the newest version of a package, deb-control(5)."""
        lines = self.run("apt-cache", "show", "--no-all-versions", package).splitlines()
        return dict(line.split(": ", 1) for line in lines if re.match(r"[A-Za-z-]+: ", line))

    def unpack(self, packages: tuple[str, ...], folder: Path) -> None:
        """Fetch packages, have apt verify them, and unpack them into a folder over each other."""
        debs = self.state / "debs"
        debs.mkdir()
        self.run("apt-get", "download", *packages, folder=debs)
        for deb in sorted(debs.iterdir()):
            said("dpkg-deb", "--extract", str(deb), str(folder))


def said(
    *command: str, folder: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    """What a command says; CannotFetchError with what it complains of if it fails."""
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise CannotFetchError(f"no {command[0]} here; Debian's apt does the fetching") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["it says nothing"]
        first = next((line for line in words if line.startswith("E: ")), words[-1])
        raise CannotFetchError(f"{Path(command[0]).name} {command[1]}: {first}")
    return done.stdout


def keyring() -> Path:
    """The keys of the Debian archive."""
    found = next((path for path in KEYRINGS if path.exists()), None)
    if found is None:
        raise CannotFetchError(
            f"no {KEYRINGS[0]}, by which apt verifies what it fetches; "
            "as root: apt-get install debian-archive-keyring"
        )
    return found


def mirrors() -> tuple[str, ...]:
    """Where this machine's own apt finds Debian; which are no mirror of it, the keys will tell."""
    release = platform.freedesktop_os_release()
    suites = (release.get("VERSION_CODENAME", ""), *CLASSES)
    found: dict[str, None] = {}
    for line in said("apt-get", "indextargets", "--format", TARGET).splitlines():
        uri, suite, component, kind = line.split()
        if release.get("ID") == "debian" and kind == "Packages" and component == "main":
            found |= dict.fromkeys([uri] if suite in suites else [])
    if not found:
        raise CannotFetchError(
            "this machine's apt sources name no mirror of Debian; name one: --mirror URL"
        )
    return tuple(found)


def configure(state: Path, mirror: str, suite: str) -> Suite:
    """A state of apt for one suite of one mirror, its lists fetched and verified."""
    shutil.rmtree(state, ignore_errors=True)
    (state / "lists/partial").mkdir(parents=True)
    (state / "archives/partial").mkdir(parents=True)
    (state / "status").touch()
    architecture = said("dpkg", "--print-architecture").strip()
    options = f"arch={architecture} signed-by={keyring()} lang=none target=Packages"
    (state / "sources.list").write_text(f"deb [{options}] {mirror} {suite} main\n")
    # Proxies and the like are the machine's; what it does after each update is not for us.
    own = "".join(
        f"{line}\n"
        for line in said("apt-config", "dump", "Acquire").splitlines()
        if not line.startswith("Acquire::IndexTargets")
    )
    (state / "apt.conf").write_text(
        f'{own}Dir::State "{state}"; Dir::State::status "{state}/status";\n'
        f'Dir::Cache "{state}"; Dir::Etc::sourcelist "{state}/sources.list";\n'
        'Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferences "/dev/null";\n'
        'Dir::Etc::preferencesparts "/dev/null"; Dir::Etc::trustedparts "/dev/null";\n'
        'Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null"; APT::Sandbox::User "";\n'
    )
    made = Suite(suite, state)
    # Lists that were not verified are a warning to apt, unless it is told otherwise.
    made.run("apt-get", "update", "--error-on=any")
    return made


def reach(state: Path, suite: str, mirror: str | None) -> Suite:
    """A suite from the first mirror that has it, signed by the Debian archive."""
    problems = []
    keyring()
    for each in (mirror,) if mirror else mirrors():
        try:
            return configure(state, each, suite)
        except CannotFetchError as error:
            problems.append(f"{each}: {error}")
    raise CannotFetchError(f"no {suite} to be had: {'; '.join(problems)}")


def installed(package: str) -> str:
    """The version of a package on this machine; empty if it is not there."""
    shown = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${Version}\n", package],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line.split() for line in shown.stdout.splitlines()]
    return next((words[1] for words in lines if words[0] == "ii"), "")


def satisfied(dependency: str) -> bool:
    """Whether this machine has what a package depends on, or one of its alternatives."""
    for each in dependency.split("|"):
        wanted = DEPENDENCY.match(each.strip())
        here = installed(wanted["name"]) if wanted else ""
        if wanted and here and (not wanted["op"] or compare(here, wanted["op"], wanted["version"])):
            return True
    return False


def compare(one: str, op: str, other: str) -> bool:
    """Whether a relation of two versions holds, dpkg(1)."""
    command = ["dpkg", "--compare-versions", one, op, other]
    return subprocess.run(command, check=False).returncode == 0


def lacking(suite: Suite, packages: tuple[str, ...]) -> tuple[str, ...]:
    """The library packages that packages need and this machine lacks, and what those need."""
    return following(
        suite, packages, lambda name, need: name.startswith("lib") and not satisfied(need)
    )


def following(
    suite: Suite, packages: tuple[str, ...], wanted: Callable[[str, str], bool]
) -> tuple[str, ...]:
    """What packages depend on, and what that does; `wanted` is asked with a name and its words."""
    found: dict[str, None] = {}
    waiting = list(packages)
    while waiting:
        needs = suite.fields(waiting.pop()).get("Depends", "")
        for need in filter(None, needs.split(", ")):
            read = DEPENDENCY.match(need)
            name = read["name"] if read else ""
            if name not in found and wanted(name, need):
                found[name] = None
                waiting.append(name)
    return tuple(found)


def try_out(folder: Path) -> None:
    """Have each program of an unpacked engine say its version, with the libraries beside it."""
    own = next(folder.glob("usr/lib/*-linux-gnu*"), None)
    loader = next(own.glob("ld-linux*.so.*"), None) if own else None
    before = (str(loader), "--library-path", str(own)) if loader else ()
    environment = {**os.environ, "LD_LIBRARY_PATH": str(own)} if own and not loader else None
    for program in PROGRAMS:
        said(*before, str(folder / "usr" / program), "--version", environment=environment)


def fetch_engine(suite: Suite, cache: Path) -> Path:
    """The engine of a suite, in a folder of its version."""
    packages = (*ENGINE, *lacking(suite, ENGINE))
    version = suite.fields("docker.io")["Version"].rpartition(":")[2]
    return placed(suite, packages, cache / re.split(r"[+~-]", version)[0], try_out)


def fetch_kernel(suite: Suite, cache: Path) -> Path:
    """The kernel of a suite, in a folder of its release."""
    newest = f"linux-image-{said('dpkg', '--print-architecture').strip()}"
    packages = following(suite, (newest,), lambda name, _: bool(KERNEL_PARTS.match(name)))
    if not packages:
        raise CannotFetchError(f"{suite.name}: {newest} depends on no kernel")
    release = packages[0].split("-", 2)[2]

    def arrange(made: Path) -> None:
        kernels.arrange(made)
        if not (made / "boot" / f"{kernels.IMAGE}{release}").exists():
            raise CannotFetchError(f"{suite.name}: no kernel {release} in {', '.join(packages)}")

    return placed(suite, packages, cache / release, arrange)


def placed(
    suite: Suite, packages: tuple[str, ...], place: Path, finish: Callable[[Path], None]
) -> Path:
    """Packages, unpacked into a place of their own unless it has them; `finish` makes them fit."""
    fields = {package: suite.fields(package) for package in packages}
    origin = {f"{name} {each['Version']}": suite.name for name, each in fields.items()}
    if fetched.is_of(place, origin):
        fetched.note(place, origin)
        return place
    size = sum(int(each["Size"]) for each in fields.values()) // 10**6
    tell(f"{suite.name}: fetching {size} MB: {', '.join(packages)}")
    made = suite.state / "made"
    made.mkdir()
    suite.unpack(packages, made)
    finish(made)
    fetched.note(made, origin)
    if place.exists():
        place.rename(suite.state / "replaced")
    made.rename(place)
    return place


def tell(line: str) -> None:
    """One line of progress."""
    print(f"fetch: {line}", flush=True)


@contextmanager
def working_folder(cache: Path) -> Iterator[Path]:
    """Where things are made before they are renamed; nothing stays of it, nor of one that broke."""
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / ".partial"
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def fetch(
    make: Callable[[Suite, Path], Path],
    cache: Path,
    suites: tuple[str, ...],
    mirror: str | None,
    *,
    again: bool,
) -> None:
    """What suites have, made into a folder each; those that are there already are left alone."""
    there = {} if again else fetched.origins(cache)
    for suite in suites:
        if suite in there:
            tell(f"{suite}: {there[suite].name} is there already, nothing fetched")
            continue
        with working_folder(cache) as folder:
            place = make(reach(folder, suite, mirror), cache)
            tell(f"{suite}: {place.name} is in {place}")


def main() -> None:
    """Fetch what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=tuple(SUITES))
    defaults = "; ".join(f"{what}: {' '.join(suites)}" for what, suites in SUITES.items())
    parser.add_argument("suites", nargs="*", help=f"suites of Debian; default {defaults}")
    parser.add_argument("--newest", action="store_true", help="only the newest of them")
    parser.add_argument("--again", action="store_true", help="look for newer ones than are there")
    parser.add_argument("--mirror", metavar="URL", help="a mirror of Debian; default apt's own")
    options = parser.parse_args()
    known = SUITES[options.what]
    suites = tuple(options.suites) or (known[-1:] if options.newest else known)
    make = {"engines": fetch_engine, "kernels": fetch_kernel}[options.what]
    try:
        fetch(make, fetched.cache(options.what), suites, options.mirror, again=options.again)
    except (CannotFetchError, OSError) as error:
        sys.exit(f"fetch: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
