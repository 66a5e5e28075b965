"""Endpoints of different VLANs are apart at layer 2, and meet through the gateway only."""

import pytest


@pytest.mark.cells("cross-vlan-l2")
def test_cross_vlan_layer2(verdict):
    """No ARP request, unicast, broadcast or multicast frame crosses, in any stage."""
    assert verdict.ok, verdict.explain()


@pytest.mark.cells("cross-vlan-l3", stages=["isolated", "undone"])
def test_cross_vlan_isolated(verdict):
    """Without the gateway nothing crosses: nobody answers for its address, nor passes it on."""
    assert verdict.ok, verdict.explain()


@pytest.mark.cells("cross-vlan-l3", stages=["routed"])
def test_cross_vlan_routed(verdict):
    """It crosses in one hop: TTL 63, from the gateway's address, past no host that has no part."""
    assert verdict.ok, verdict.explain()
