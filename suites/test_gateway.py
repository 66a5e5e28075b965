"""Endpoints and their gateway reach each other, also when nobody spoke before."""

import pytest


@pytest.mark.cells("gateway-address")
def test_gateway_address(verdict):
    """An endpoint reaches the gateway's address in its VLAN."""
    assert verdict.ok, verdict.explain()


@pytest.mark.cells("cold")
def test_gateway_reaches_cold(verdict):
    """The first packet comes from outside, all neighbour caches empty, and it arrives."""
    assert verdict.ok, verdict.explain()
