"""What is said of contacts and flows, and who is asked."""

from __future__ import annotations

import pytest

from harness.errors import InputError
from harness.lifecycle.healing import Answer, Contact, Flow, Restarted, subject
from tests.unit.labs import TUTORIAL, variant

AT_ONCE, NEVER = Answer("bbox3", 0.4, 1), Answer("gateway", None, 990)
KEPT = Flow("icmp", 140, 140, 20.5, "")
BROKEN = Flow("tcp", 140, 4, 1385.0, "closed by the other end")


def test_a_contact_needs_every_answer() -> None:
    """It is one only if everybody who asked was answered."""
    assert Contact("bbox1 restarted", (AT_ONCE,)).answered
    assert not Contact("bbox1 restarted", (AT_ONCE, NEVER)).answered


def test_a_contact_says_who_was_answered_when() -> None:
    """And how often the others have asked."""
    said = str(Contact("bbox1 restarted", (AT_ONCE, NEVER)))
    assert said == "bbox1 restarted: answers bbox3 after 0.4 ms, gateway never, to 990 questions"


def test_a_restart_says_what_was_lost() -> None:
    """Of containers, and of each flow."""
    again = Contact("bbox1 started again", (AT_ONCE,))
    found = Restarted("engine restarted", (KEPT, BROKEN), ("bbox1", "bbox2"), ("bbox1",), again)
    assert found.lost == 136
    assert str(found) == (
        "engine restarted: 1 of 2 containers run on; icmp: 0 of 140 lost, longest silence 20.5 ms; "
        "tcp: 136 of 140 lost, longest silence 1385 ms, closed by the other end"
    )


def test_the_subject_is_asked_from_another_host() -> None:
    """A container, and one of its VLAN on another host; a lab without such a pair is told so."""
    assert [end.name for end in subject(TUTORIAL)] == ["bbox1", "bbox3"]
    apart = variant(("{host: host2, vlan: 10,", "{host: host1, vlan: 10,"),
                    ("{host: host2, vlan: 20,", "{host: host1, vlan: 20,"))  # fmt: skip
    with pytest.raises(InputError, match="no two endpoints of one VLAN are on different hosts"):
        subject(apart)
