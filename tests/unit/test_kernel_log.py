"""What consoles of kernels say, as they said it."""

from __future__ import annotations

import pytest

from harness.kernel_log import KernelEvent, events, tainted, unbooted

UNMOUNTED = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
CHECKSUM = "WARNING: CPU: 0 PID: 812 at net/core/dev.c:3214 skb_warn_bad_offload+0x7a/0xf0"
LINES = {
    "[   16.002113] Kernel panic - not syncing: sysrq triggered crash": "panic",
    f"[    2.1] {UNMOUNTED}": "panic",
    f"[   14.1][  T812] {CHECKSUM}": "warning",
    "[   14.1] WARNING: net/core/dev.c:3214 at skb_warn_bad_offload+0x7a/0xf0, CPU#0: ping/812":
        "warning",
    "[   14.1] WARNING: CPU: 0 PID: 812 at skb_warn_bad_offload+0x7a/0xf0": "warning",
    "<4>[   14.1] WARNING: at proc_register+0x1f/0x30, CPU#1: modprobe/77": "warning",
    "[   14.1] UBSAN: array-index-out-of-bounds in net/core/dev.c:31:5": "warning",
    "[    1.2] WARNING: missing R10 value at asm_exc_page_fault+0x22/0x30": "",
    "[    9.3] WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected": "lockdep",
    "[    9.3] WARNING: held lock freed!": "lockdep",
    "[    9.3] WARNING: lock held when returning to user space!": "lockdep",
    "[    9.3] WARNING: ping/812 still has locks held!": "lockdep",
    "[    9.3] [ BUG: Invalid wait context ]": "lockdep",
    "[    9.4] BUG: KFENCE: use-after-free read in macvlan_hash_lookup+0x40/0x60": "kasan",
    "[    9.5] BUG kmalloc-64 (Not tainted): Right Redzone overwritten": "oops",
    "[    9.5] invalid opcode: 0000 [#1] PREEMPT SMP NOPTI": "oops",
    "[    9.5] stack segment: 0000 [#1] PREEMPT SMP NOPTI": "oops",
    "[    9.5] Internal error: Oops: 0000000096000004 [#1] SMP": "oops",
    "[    9.6] traps: PANIC: double fault, error_code: 0x0": "panic",
    "[  242.7] INFO: task ip:412 blocked in I/O wait for more than 120 seconds.": "hang",
    "[   60.1] INFO: rcu_tasks detected stalls on tasks:": "hang",
    "[   60.1] rcu: INFO: rcu_preempt self-detected stall on CPU": "hang",
    "[   61.0] NMI watchdog: Watchdog detected hard LOCKUP on cpu 0": "hang",
    "[   61.0] watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 0": "hang",
    "[   70.4] unregister_netdevice: waiting for eth2.10 to become free. Usage count = 1": "hang",
    "[    9.3] WARNING: possible circular locking dependency detected": "lockdep",
    "[    9.3] WARNING: suspicious RCU usage": "lockdep",
    "[    9.3] BUG: sleeping function called from invalid context at mm/slab.h:494": "lockdep",
    "[    9.4] BUG: KASAN: slab-out-of-bounds in macvlan_hash_lookup+0x40/0x60": "kasan",
    "[    9.5] BUG: kernel NULL pointer dereference, address: 0000000000000000": "oops",
    "[    9.5] Oops: 0002 [#1] PREEMPT SMP NOPTI": "oops",
    "[    9.5] kernel BUG at net/core/skbuff.c:112!": "oops",
    "[    9.5] general protection fault, probably for non-canonical address 0xdead": "oops",
    "[  242.7] INFO: task kworker/0:1:12 blocked for more than 120 seconds.": "hang",
    "[   38.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [bash:711]": "hang",
    "[   60.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:": "hang",
    "[    8.8] harness: no module 8021q": "module-missing",
    "harness: no word from the machine for 120 s": "hang",
    "harness: not up after 120 s": "no-boot",
    "[    0.0] Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org)": "",
    "[    1.4] bridge: filtering via arp/ip/ip6tables is no longer available by default.": "",
    "[    0.9] printk: WARNING: this is not how the kernel warns": "",
    "": "",
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_of_a_kind(line: str) -> None:
    """One line of a console, and what it tells of the kernel."""
    assert [one.kind for one in events([line])] == list(filter(None, [LINES[line]]))


def test_an_event_is_told_once_without_its_time() -> None:
    """Consoles repeat themselves; the order stays."""
    lines = [
        "[ 1.0] Oops: 0002 [#1]",
        "[ 1.1] harness: no module macvlan",
        "[ 1.2] Oops: 0002 [#1]",
    ]
    found = events(lines)
    assert [str(one) for one in found] == [
        "oops: Oops: 0002 [#1]",
        "module-missing: no module macvlan",
    ]


def test_a_kernel_that_did_not_boot_says_why_itself() -> None:
    """Its panic, if there is one; else its last line; else that there is none."""
    panic = "[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs"
    told = unbooted([panic, "[ 2.2] Rebooting", ""], "6.1 is not up: it ended")
    assert told == KernelEvent(
        "no-boot",
        "6.1 is not up: it ended; Kernel panic - not syncing: VFS: Unable to mount root fs",
    )
    assert unbooted(["[ 1.0] last words"], "no").text == "no; its console ends with: last words"
    assert unbooted([], "no").text == "no; its console said nothing"


@pytest.mark.parametrize(("before", "after"), [(0, 0), (512, 512), (4096, 0)])
def test_a_taint_that_was_there_is_none_of_the_runs(before: int, after: int) -> None:
    """Modules of another tree taint a kernel when it boots."""
    assert tainted(before, after) == ()


def test_a_taint_names_its_bits() -> None:
    """Bit 9 is a warning, bit 7 an oops (tainted-kernels.rst)."""
    (found,) = tainted(4096, 4096 | 512 | 128)
    assert found.kind == "taint"
    assert found.text.endswith("was 4096 before: bits 7, 9")
