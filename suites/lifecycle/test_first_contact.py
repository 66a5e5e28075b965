"""After a change of it a container is reached from outside first, and how long that takes."""

import pytest


@pytest.mark.parametrize("others", ["forgot", "remember"])
@pytest.mark.parametrize(
    "change", ["restarted", "remade", "remade-with-another-mac", "reconnected"]
)
def test_answers_who_asks_first(first_contact, change, others):
    """It answers its VLAN and the gateway host before it has asked anybody anything itself."""
    contact = first_contact(change, others)
    assert contact.answered, str(contact)
