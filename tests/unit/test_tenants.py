"""What people and programs are told of who has a lab host, and of what was left there."""

from __future__ import annotations

from typing import Any

from harness.tenants import Cleaned, carries, document

HOLDER: dict[str, Any] = {
    "who": "root@ctl, process 7", "lab": "lab-hosts", "run": "1a2b3c4d", "worker": 12,
    "since": "2026-01-01T00:00:00Z", "lease_ends": "2026-01-01T00:01:00Z",
}  # fmt: skip
LINK: dict[str, Any] = {"do": "vlan-delete", "node": "host1", "name": "eth2.10"}
BOX: dict[str, Any] = {"do": "container-delete", "node": "host1", "name": "bbox1"}


def test_a_host_that_is_taken_names_who_has_it() -> None:
    """The lab, the user and process, the run, since when; and how long it may be silent."""
    assert carries("host1", HOLDER) == (
        "host1 carries the lab lab-hosts of root@ctl, process 7, run 1a2b3c4d, since "
        "2026-01-01T00:00:00Z; if nothing is heard of it, it is taken back at 2026-01-01T00:01:00Z"
    )


def test_a_holder_that_has_said_nothing_yet_is_somebody() -> None:
    """Its lock is there before its words."""
    holder = {"who": "somebody", "since": "just now"}
    assert carries("host1", holder) == "host1 carries a lab of somebody since just now"


def test_what_was_taken_back_is_told_as_commands() -> None:
    """In the order in which it was done; the host is named once."""
    one = Cleaned.of("host1", {"steps": [BOX, LINK], "failed": []})
    assert one.ok
    assert one.sentences() == [
        "host1: taken back: docker rm --force bbox1",
        "host1: taken back: ip link delete eth2.10",
    ]


def test_what_stays_has_its_reason_and_its_command() -> None:
    """The rest was taken back all the same."""
    failed = [{"step": BOX, "reason": "the engine does not answer"}]
    one = Cleaned.of("host1", {"steps": [BOX, LINK], "failed": failed})
    assert not one.ok
    assert one.taken_back == ("ip link delete eth2.10",)
    assert one.sentences()[1] == (
        "host1: stays: the engine does not answer; once that is mended, clean again, or type "
        "there: docker rm --force bbox1"
    )


def test_a_command_that_is_not_a_hosts_own_stays_whole() -> None:
    """A namespace has a name, and no host before it."""
    space: dict[str, Any] = {"do": "namespace-delete", "node": "bbox1", "name": "eth0"}
    one = Cleaned.of("host1", {"steps": [space], "failed": []})
    assert one.taken_back == ("ip netns delete bbox1",)


def test_what_is_somebody_elses_is_left_alone() -> None:
    """It has the name of what a run made, but not its mark; what to type if it is nobody's."""
    failed = [{"step": LINK, "reason": "eth2.10 has not the alias", "foreign": True}]
    one = Cleaned.of("host1", {"steps": [BOX, LINK], "failed": failed})
    assert not one.ok
    assert one.sentences()[1] == (
        "host1: left alone: eth2.10 has not the alias; if nobody needs it, type there: "
        "ip link delete eth2.10"
    )


def test_a_host_that_is_held_or_silent_is_not_clean() -> None:
    """Each with who holds it, or with why it could not be told."""
    held = Cleaned.of("host1", {"taken": HOLDER})
    assert held.sentences() == [f"{carries('host1', HOLDER)}; it is not touched"]
    silent = Cleaned("host2", trouble="host2: it does not answer")
    assert silent.sentences() == ["host2: it does not answer"]
    assert not held.ok
    assert not silent.ok


def test_a_program_is_told_the_same() -> None:
    """Every host has every key; all is well if all hosts are."""
    fine = Cleaned.of("host2", {"steps": [], "failed": []})
    assert fine.sentences() == ["host2: nothing is left"]
    failed = [{"step": BOX, "reason": "no"}]
    bad = Cleaned.of("host1", {"steps": [BOX], "failed": failed})
    assert document([fine])["ok"]
    assert document([fine, bad]) == {
        "ok": False,
        "hosts": [
            {
                "host": "host2", "ok": True, "taken_back": [], "stays": [],
                "foreign": [], "held": None, "error": None,
            },
            {
                "host": "host1", "ok": False, "taken_back": [], "held": None, "error": None,
                "foreign": [],
                "stays": [{"command": "docker rm --force bbox1", "reason": "no"}],
            },
        ],
    }  # fmt: skip
