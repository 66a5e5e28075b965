"""Frames at the edge: with a tag of their own, and as large as may be."""

import pytest


@pytest.mark.cells("own-tag")
def test_own_tag(verdict):
    """A frame that carries a tag of its own may reach its own VLAN, and never the tag's."""
    assert verdict.ok, verdict.explain()


@pytest.mark.cells("mtu")
def test_mtu(verdict):
    """A packet of the MTU with DF arrives, directly and through NAT; one octet more is too big."""
    assert verdict.ok, verdict.explain()
