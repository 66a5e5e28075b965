"""IPsec policies as the kernel tells them, in a network namespace that a test has to itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
READ = """
import json
from harness.worker import ipsec, namespaces
namespaces.settle("here", "eth2")
print(json.dumps(ipsec.policies("here")[0]))
"""
SELECTORS = (
    "src 172.16.10.0/24 dst 172.16.20.0/24 dir fwd",
    "src 172.16.10.10/32 dst 0.0.0.0/0 proto udp dport 7 dir out",
    "src 0.0.0.0/0 dst 172.16.10.10/32 proto icmp type 8 code 0 dir in",
    "src 0.0.0.0/0 dst 0.0.0.0/0 proto tcp sport 22 dir in",
    "src 2001:db8::/64 dst ::/0 proto ipv6-icmp type 128 code 0 dir out",
    "src 10.0.0.0/8 dst 10.0.0.0/8 proto 132 dir fwd",
)
NEEDED = "tmpl src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel"


def after(*commands: str) -> Any:
    """What is read in a new namespace after commands of ip-xfrm(8); skips where there is none."""
    if os.geteuid() != 0:
        pytest.skip("only root can set policies")
    script = "".join(f"ip xfrm policy {command}\n" for command in commands)
    done = subprocess.run(
        ["unshare", "--net", "sh", "-ec", f'{script}"$0" -c "$1"', sys.executable, READ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Protocol not supported" in done.stderr:
        pytest.skip("this kernel has no IPsec")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_policy_is_told_by_the_words_that_delete_it(selector: str) -> None:
    """Each form of selector: what is read of it is what ip-xfrm(8) takes it away by."""
    (found,) = after(f"add {selector} action block priority 7")["policies"]
    assert found["selector"] == selector
    assert (found["action"], found["priority"], found["encrypts"]) == ("block", 7, False)
    assert after(f"add {selector} action block", f"delete {found['selector']}") is None


def test_policies_come_in_the_order_of_their_priority() -> None:
    """The kernel asks the lowest first; of equal ones the older."""
    where = "src 10.0.0.0/{} dst 10.0.0.0/8 dir out"
    added = [
        f"add {where.format(bits)} priority {priority}"
        for bits, priority in ((8, 5), (9, 3), (10, 5))
    ]
    found = after(*added)["policies"]
    assert [(one["src"], one["priority"]) for one in found] == [
        ("10.0.0.0/9", 3), ("10.0.0.0/8", 5), ("10.0.0.0/10", 5),
    ]  # fmt: skip


def test_what_a_policy_wants_of_a_packet() -> None:
    """A transformation, if it is not optional; a mark."""
    where = "src 10.0.0.0/8 dst 10.0.0.0/8"
    found = after(
        f"add {where} dir out priority 1 {NEEDED}",
        f"add {where} dir in priority 2 {NEEDED} level use",
        f"add {where} dir fwd priority 3 mark 5",
    )["policies"]
    assert [one["encrypts"] for one in found] == [True, False, False]
    assert [one["marked"] for one in found] == [False, False, True]
    assert {one["action"] for one in found} == {"allow"}


@pytest.mark.parametrize("way", ["in", "fwd", "out"])
def test_a_way_that_is_shut(way: str) -> None:
    """Without a policy nothing goes there; the others are open."""
    assert after(f"setdefault {way} block") == {"policies": [], "shut": [way]}


def test_policies_of_an_interface_are_not_everybodys() -> None:
    """What only an xfrm interface is asked for is left out."""
    assert after("add src 10.0.0.0/8 dst 10.0.0.0/8 dir out if_id 7 action block") is None
