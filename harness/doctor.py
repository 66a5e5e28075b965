"""What a machine must have to carry a lab, all asked at once; what is missing names its fix.

Programs are looked up, the kernel is asked (`worker.abilities`, in namespaces of a child process
that ends at once), and the kernel modules that a run would load are listed from the machine's own
module index. Nothing of the machine is changed, except that asking the kernel for a kind of link,
classifier or firewall table may make it load that kind's module, exactly as a run would.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path, PurePath

from tabulate import tabulate

from harness.machines import rootless
from harness.needs import (
    ABILITIES,
    COMMANDS,
    FAMILIES,
    MODULES,
    PROGRAMS,
    PYTHON,
    Ability,
    Need,
    Program,
)
from harness.worker import search

DEADLINE_S = 20
"""The kernel's answers take 0.3 s; loading modules from a slow disk may take some seconds."""
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
"""Bit numbers, <linux/capability.h>."""
ROOT = Path("/")


def check() -> tuple[Need, ...]:
    """Everything that a lab needs or can use, found or not, in the order to mend it."""
    system = manager(_os_release())
    # Read before the kernel is asked, because asking may load what is to be listed.
    states = module_states(ROOT, platform.release())
    programs = tuple(program(each, system) for each in PROGRAMS)
    answers = ask_kernel()
    refused = rootless.refused() if os.geteuid() else None
    return (
        python(sys.version_info[:3], system),
        *programs,
        privilege(os.geteuid(), _effective_capabilities(ROOT), refused),
        *(ability(each, answers.get(each.question)) for each in ABILITIES),
        *modules(states, {answer for answer, _ in answers.values() if answer}),
    )


def missing(needs: tuple[Need, ...]) -> tuple[Need, ...]:
    """The required things that were not found."""
    return tuple(need for need in needs if not need.ok)


def table(needs: tuple[Need, ...]) -> str:
    """A table for people, then one line for each thing that is missing and how to mend it."""
    rows = [(need.group, need.what, need.found or _absence(need), need.why) for need in needs]
    text = tabulate(rows, headers=("", "need", "found", "for"), tablefmt="simple")
    fixes = [f"{_absence(need)}: {need.what}: {need.install}" for need in needs if not need.found]
    verdict = f"{len(missing(needs))} missing" if missing(needs) else "nothing required is missing"
    return "\n".join([text, "", *fixes, verdict])


def as_json(needs: tuple[Need, ...]) -> str:
    """The same for programs: `{"ok": bool, "needs": [{"what", "found", "why", ...}]}`."""
    entries = [asdict(need) | {"ok": need.ok} for need in needs]
    return json.dumps({"ok": not missing(needs), "needs": entries}, indent=2)


def manager(release: dict[str, str]) -> str | None:
    """The package manager of the system that os-release(5) describes; None if it is not known."""
    for family in (release.get("ID", ""), *release.get("ID_LIKE", "").split()):
        if family in FAMILIES:
            return FAMILIES[family]
    return None


def install_command(system: str | None, packages: dict[str, str]) -> str:
    """The command that installs a package here; words where the system is not known."""
    package = packages.get(system or "*", packages["*"])
    if system is None:
        return f"install {package}"
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}{COMMANDS[system]} {package}"


def fix(name: str) -> str:
    """The command that installs one of the programs that a run may need."""
    sought = next(each for each in PROGRAMS if name in each.names)
    return install_command(manager(_os_release()), sought.packages)


def python(version: tuple[int, ...], system: str | None) -> Need:
    """The interpreter that runs this."""
    found = ".".join(map(str, version))
    oldest = ".".join(map(str, PYTHON))
    return Need(
        "python",
        found if version >= PYTHON else None,
        f"runs the harness; at least {oldest}",
        f"this is {found}; {install_command(system, {'*': 'python3'})}",
        "program",
    )


def program(sought: Program, system: str | None) -> Need:
    """A program with the version that it says, or its path where the version does not matter."""
    found = next(filter(None, (_version(name, sought) for name in sought.names)), None)
    return Need(
        " or ".join(sought.names),
        found,
        sought.why,
        install_command(system, sought.packages),
        "program" if sought.required else "optional",
        sought.required,
    )


def privilege(user: int, capabilities: int, refused: str | None = None) -> Need:
    """Root, with the capabilities that containers of root often lack; or a user namespace.

    `refused` is what unshare says to an ordinary user; None if it makes the namespaces of a lab.
    """
    why = "namespaces, raw sockets"
    if user != 0:
        here = None if refused else "user namespaces"
        fix = rootless.why(refused or "", ROOT, user)
        return Need("privilege", here, why, fix, "kernel")
    lacking = [name for name, bit in CAPABILITIES.items() if not capabilities >> bit & 1]
    fix = f"this root lacks {' and '.join(lacking)}: start its container with --privileged"
    return Need("privilege", None if lacking else "root", why, fix, "kernel")


def ask_kernel() -> dict[str, tuple[str | None, str | None]]:
    """Answer and problem by question, from a child in namespaces of its own.

    Every question has the same problem if the child cannot start.
    """
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    command = (
        "unshare", *user, "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
        sys.executable, "-B", "-m", "harness.worker.abilities",
    )  # fmt: skip
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "PATH": search.path()},
        )
        said = json.loads(done.stdout)
    except FileNotFoundError:
        problem = "unshare is missing"
    except subprocess.TimeoutExpired:
        problem = f"the kernel gave no answer within {DEADLINE_S} s"
    except json.JSONDecodeError:
        problem = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    else:
        return {question: (answer, trouble) for question, (answer, trouble) in said.items()}
    return {each.question: (None, f"could not be asked: {problem}") for each in ABILITIES}


def ability(asked: Ability, answer: tuple[str | None, str | None] | None) -> Need:
    """What the kernel answered to one question."""
    found, problem = answer or (None, "was not asked")
    fix = f"{problem}; the kernel needs {asked.option}"
    if "run it with sudo" in str(problem):
        fix = str(problem)  # it names its own way out
    elif os.geteuid() != 0:
        fix += "; a user namespace may lack it where root has it: ask again with sudo"
    return Need(asked.what, found, asked.why, fix, "kernel")


def modules(states: dict[str, str] | None, answers: set[str]) -> tuple[Need, ...]:
    """The modules that a run uses, and what becomes of each; one line if the kernel has none."""
    if states is None:
        found = "none: all is built into this kernel"
        return (Need("kernel modules", found, "nothing to load", "", "module", required=False),)
    return tuple(
        Need(
            module.name,
            states.get(module.name, "no such module here"),
            module.why,
            "",
            "module",
            required=False,
        )
        for module in MODULES
        if module.when is None or module.when in answers
    )


def module_states(root: Path, release: str) -> dict[str, str] | None:
    """State by module name, from /proc/modules and depmod's index; None if nothing is loadable."""
    try:
        loaded = (root / "proc/modules").read_text().splitlines()
    except FileNotFoundError:
        return None
    states: dict[str, str] = {}
    index = root / "lib/modules" / release
    for file, state in (("modules.dep", "a run loads it"), ("modules.builtin", "built in")):
        if (index / file).exists():
            lines = (index / file).read_text().splitlines()
            states |= {_module_name(line): state for line in lines}
    return states | {line.split()[0]: "loaded" for line in loaded}


def _module_name(line: str) -> str:
    """Name of a line like `kernel/net/8021q/8021q.ko.xz: kernel/net/802/garp.ko.xz`."""
    return PurePath(line.partition(":")[0]).name.split(".ko")[0].replace("-", "_")


def _absence(need: Need) -> str:
    return "MISSING" if need.required else "not here"


def _version(name: str, sought: Program) -> str | None:
    path = search.found(name)
    if path is None or sought.version is None:
        return path
    option, pattern = sought.version
    try:
        done = subprocess.run(
            [path, option], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = re.search(pattern, done.stdout + done.stderr)
    return said[0] if said else None


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _effective_capabilities(root: Path) -> int:
    status = (root / "proc/self/status").read_text()
    said = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(said[1], 16) if said else 0
