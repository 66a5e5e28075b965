"""macvlan keeps a host apart from its own containers, and from nobody else's."""

import pytest


@pytest.mark.cells("parent")
def test_parent_interface(verdict):
    """A frame out of a parent interface passes that host's own container by, and no other's."""
    assert verdict.ok, verdict.explain()
