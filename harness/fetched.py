"""The Docker engines that can be had by their version: those in the cache, and the machine's own.

`make engines` (scripts/fetch.py) fills the cache:

    ~/.cache/macvlan-harness/engines/28.5.2/usr/sbin/dockerd   as Debian's packages have it
                                           /packages           what it was made of
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from harness.errors import InputError
from harness.worker import search

ENGINE = "dockerd"
ORIGIN = "packages"
"""A file with a line for each package: its name, its version, its suite."""
VERSION = re.compile(r"\d+(\.\d+)*")
"""A version and no path; a program of such a name is ./28.5."""
DEADLINE_S = 10


def cache(what: str = "engines") -> Path:
    """This user's folder of engines, or kernels (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return home / "macvlan-harness" / what


def caches(what: str = "engines") -> tuple[Path, ...]:
    """This user's, and that of who became root by sudo."""
    found: list[Path] = [cache(what)]
    if os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        try:
            home = pwd.getpwnam(os.environ["SUDO_USER"]).pw_dir
        except KeyError:
            return tuple(found)
        found.append(Path(home, ".cache", "macvlan-harness", what))
    return tuple(found)


def origins(place: Path) -> dict[str, Path]:
    """The engines, or kernels, of a cache by the suites that have them."""
    return {
        line.split()[2]: file.parent
        for file in place.glob(f"[0-9]*/{ORIGIN}")
        for line in file.read_text().splitlines()
    }


def is_of(place: Path, packages: Iterable[str]) -> bool:
    """Whether an engine was made of these packages, each a name and a version."""
    try:
        lines = (place / ORIGIN).read_text().splitlines()
    except FileNotFoundError:
        return False
    return {line.rpartition(" ")[0] for line in lines} == set(packages)


def note(place: Path, packages: dict[str, str]) -> None:
    """Write down what an engine was made of, suite by package."""
    file = place / ORIGIN
    lines = file.read_text().splitlines() if file.exists() else []
    lines += [f"{package} {suite}" for package, suite in packages.items()]
    file.write_text("".join(f"{line}\n" for line in dict.fromkeys(lines)))


def known() -> dict[str, str]:
    """Every engine that can be had by its version, and its dockerd; the oldest first."""
    found = {
        program.parents[2].name: str(program)
        for place in reversed(caches())
        for program in place.glob(f"[0-9]*/usr/sbin/{ENGINE}")
    }
    own = search.found(ENGINE)
    if own:
        found |= {version: own for version in (_version(own),) if version}
    return {version: found[version] for version in sorted(found, key=numbers)}


def find(version: str) -> str:
    """The dockerd of a version: 28.5.2, or the newest that 28.5 or 28 begins."""
    engines = known()
    fitting = [path for each, path in engines.items() if f"{each}.".startswith(f"{version}.")]
    if not fitting:
        there = ", ".join(engines) or "none"
        raise InputError(
            f"no Docker engine {version} here (there: {there}); `make engines` fetches newer ones"
        )
    return fitting[-1]


def _version(program: str) -> str:
    """What a dockerd says it is: 20.10.24 of `Docker version 20.10.24+dfsg1, build 5d6db84`."""
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = VERSION.search(done.stdout)
    return said[0] if said else ""


def numbers(version: str) -> tuple[int, ...]:
    """What versions are compared by."""
    return tuple(int(number) for number in re.findall(r"\d+", version))
