"""What a lab host's worker was in the middle of when it ended is taken back like what is whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUB_INTERFACE = """
import json, sys
from harness.worker import namespaces, steps, vlan

MAKE = {"do": "vlan", "node": "host1", "parent": "eth2", "id": 10, "name": "eth2.10", "mtu": 1500,
        **json.loads(sys.argv[2])}
namespaces.settle("host1", "eth2")
wire = namespaces.route("host1")
wire.link("add", ifname="eth2", kind="veth", peer={"ifname": "port"})
trunk = wire.link_lookup(ifname="eth2")[0]
vlan._datapath[0] = "tc-bpf"


class CutOff(BaseException):
    pass


def there():
    links = sorted(link.get("ifname") for link in wire.get_links())
    return links, [one.get("kind") for one in wire.get_qdiscs(index=trunk)]


def at_most(changes):
    left = [changes]

    def counted(real):
        def change(command, *args, **named):
            if command in ("add", "set", "add-filter"):
                left[0] -= 1
                if left[0] < 0:
                    raise CutOff
            return real(command, *args, **named)
        return change

    wire.link, wire.tc = counted(wire.link), counted(wire.tc)


before, whole = there(), True
at_most(int(sys.argv[1]))
try:
    steps.apply([MAKE])
except CutOff:
    whole = False
del wire.link, wire.tc
made = there() != before
failed = steps.undo([{**MAKE, "do": "vlan-delete"}])
print(json.dumps([whole, made, failed, there() == before]))
"""
STEP = """
import os, signal, sys, time
from harness.worker import journal, keeping, lock, steps

place, lasts = sys.argv[1], float(sys.argv[2])
lock.FILE, keeping.PATIENCE_S = f"{place}/lock", 1
journal.DIRECTORY, journal.FILE = place, f"{place}/journal"
STEP = {"do": "make", "node": "host1", "undo": {"do": "take"}}


def make(step):
    os.kill(os.getpid(), signal.SIGTERM)
    print("begun", flush=True)
    time.sleep(lasts)
    print("made", flush=True)


def take_back(entries):
    print("taken back", *(entry["do"] for entry in entries), flush=True)
    return []


keeping.claim({"who": "somebody"}, take_back)
steps.apply([STEP, STEP], {"make": make})
print("never")
"""


def apart(script: str, *argv: str) -> str:
    """What Python prints in a network namespace of its own."""
    command = ["unshare", "--net", sys.executable, "-c", script, *argv]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("done", range(8))
def test_a_sub_interface_can_be_cut_off_anywhere(done: int) -> None:
    """After so many of the seven changes of the kernel that make one of tc and BPF."""
    said = apart(SUB_INTERFACE, str(done), "{}")
    assert json.loads(said) == [done >= 7, done > 0, [], True]


@pytest.mark.parametrize("done", range(11))
def test_a_marked_one_can_be_cut_off_anywhere(done: int) -> None:
    """Until it has its mark it has a name that only this run's has."""
    said = apart(SUB_INTERFACE, str(done), '{"mark": "macvlan-harness-1a2b3c4d"}')
    assert json.loads(said) == [done >= 10, done > 0, [], True]


def test_a_step_under_way_comes_to_its_end(tmp_path: Path) -> None:
    """No other is begun; what an engine was told to make is there when it is taken back."""
    assert apart(STEP, str(tmp_path), "0.2").splitlines() == ["begun", "made", "taken back take"]
    assert list(tmp_path.iterdir()) == [tmp_path / "journal"]


def test_a_step_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """What was made before it is taken back all the same."""
    assert apart(STEP, str(tmp_path), "60").splitlines() == ["begun", "taken back take"]
