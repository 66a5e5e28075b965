"""What a kernel's console says that no healthy kernel says: panics, oopses, warnings, and the like.

The words are those of the kernel's own sources: kernel/panic.c, kernel/locking/lockdep.c,
kernel/hung_task.c, kernel/watchdog.c, kernel/rcu/tree_stall.h, mm/kasan/report.c and
arch/x86/mm/fault.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

CONSOLE = "evidence/console.txt"
"""Of a run folder: all that the console said."""
OURS = "harness: "
"""Begins what is said of a machine that says nothing itself any more (`machines.vm_relay`)."""
NO_BOOT, HANG, PANIC, TAINT = "no-boot", "hang", "panic", "taint"
STAMP = re.compile(r"^(?:<\d+>)?\[\s*\d+\.\d+\](?:\[\s*[CT]\d+\])?\s*")
"""`[   13.387522] `, with the CPU or the task where the kernel is built to say it."""
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (PANIC, re.compile(r"^(Kernel panic - not syncing: |traps: PANIC: )")),
    ("kasan", re.compile(r"^BUG: K(A|C|M)SAN: |^BUG: KFENCE: ")),
    ("lockdep", re.compile(
        r"^(WARNING: (possible|suspicious|inconsistent|bad (unlock|contention)|held lock|"
        r"Nested lock|lock held|.* still has locks held|.*-safe -> .*-unsafe lock order)|"
        r"INFO: possible |BUG: (MAX_|held lock|sleeping function)|\[ BUG: Invalid wait context)")),
    (HANG, re.compile(
        r"^(INFO: task .* blocked.* for more than|watchdog: BUG: soft lockup|"
        r"(NMI )?watchdog: .*hard LOCKUP|(rcu: )?INFO: rcu\w* .*detected|"
        r"unregister_netdevice: waiting for )")),
    ("module-missing", re.compile(rf"^{OURS}no module ")),
    (NO_BOOT, re.compile(rf"^{OURS}not up ")),
    (HANG, re.compile(rf"^{OURS}no word ")),
    # Until 6.17 `WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 f+0x1/0x2`, then `WARNING:
    # net/core/dev.c:1 at f+0x1/0x2, CPU#0: ping/1`; the file is left out where it is not known.
    ("warning", re.compile(r"^(WARNING: (CPU: \d+ PID: |.*at .*, CPU#\d+: )|UBSAN: )")),
    ("oops", re.compile(
        r"^(BUG: |BUG .* \(.*\): |Oops|[Kk]ernel BUG at |general protection fault|"
        r"Unable to handle kernel |Internal error: |[\w -]+: [\da-f]{4} \[#\d+\])")),
)  # fmt: skip
"""The first that fits a line decides."""


@dataclass(frozen=True)
class KernelEvent:
    """Something that a kernel does only when it is broken, or lacks something."""

    kind: str
    """`no-boot` `hang` `panic` `module-missing` `warning` `oops` `lockdep` `kasan` `taint`."""
    text: str
    """The line that says so."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def events(lines: Iterable[str]) -> tuple[KernelEvent, ...]:
    """What a console's lines tell, each once, in their order."""
    found: dict[KernelEvent, None] = {}
    for line in lines:
        said = STAMP.sub("", line.strip())
        kind = next((kind for kind, pattern in PATTERNS if pattern.search(said)), None)
        if kind:
            found[KernelEvent(kind, said.removeprefix(OURS))] = None
    return tuple(found)


def unbooted(lines: Iterable[str], why: str) -> KernelEvent:
    """Why a kernel was never up: what it says of itself, or else what its console said last."""
    every = [STAMP.sub("", line.strip()) for line in lines if line.strip()]
    told = next((str(one.text) for one in events(every) if one.kind != NO_BOOT), "")
    last = f"its console ends with: {every[-1]}" if every else "its console said nothing"
    return KernelEvent(NO_BOOT, f"{why}; {told or last}")


def tainted(before: int, after: int) -> tuple[KernelEvent, ...]:
    """The flags of kernel.tainted that were set while it ran (Documentation/admin-guide)."""
    flags = after & ~before
    if not flags:
        return ()
    bits = ", ".join(str(bit) for bit in range(flags.bit_length()) if flags >> bit & 1)
    text = f"kernel.tainted is {after} after the run and was {before} before: bits {bits}"
    return (KernelEvent(TAINT, text),)
