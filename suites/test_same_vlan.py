"""Endpoints of one VLAN reach each other directly, whichever host they are on."""

import pytest


@pytest.mark.cells("same-vlan")
def test_same_vlan(verdict):
    """It arrives with TTL 64 and its true source, past no gateway, and is answered."""
    assert verdict.ok, verdict.explain()
