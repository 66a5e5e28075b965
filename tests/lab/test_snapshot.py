"""What is said to be left nothing of would be seen: each is left here, in namespaces of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEFORE = "mount -t tmpfs none /var/lib && mkdir /var/lib/docker && iptables -A INPUT -p udp -j DROP"
CHANGES = {
    "mount -t overlay none /mnt -o lowerdir=/etc:/opt": "mounts: /mnt overlay none /",
    "iptables -A FORWARD -p icmp -j DROP": "machines: nft",
    "iptables -D INPUT 1": "gone: nft",
    "iptables -P FORWARD DROP": "gone: nft",
    "mkdir /var/lib/docker/overlay2": "machines: file /var/lib/docker/overlay2",
    "rmdir /var/lib/docker": "",
    "ip link add br0 type bridge": "links: br0",
}
SCRIPT = """
import subprocess, sys
from tests.lab import snapshot
before = snapshot.take()
subprocess.run(sys.argv[1], shell=True, check=True)
print("\\n".join(snapshot.left(before)))
"""


@pytest.mark.parametrize("change", CHANGES)
def test_a_snapshot_sees_what_is_left(change: str) -> None:
    """Mounts, rules, links, files of the machine's own engine; of nothing it says nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root can leave such things")
    again = f'{sys.executable} -c "$1" "$2"'
    done = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-ec", f"{BEFORE}; {again}", "sh", SCRIPT, change],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert CHANGES[change] in done.stdout
    assert bool(done.stdout.strip()) is bool(CHANGES[change])
