"""What an engine complains of, or should, is named in one sentence."""

import pytest


@pytest.mark.parametrize(
    "mistake", ["parent-down", "parent-missing", "subnet-used", "address-outside"]
)
def test_mistake_is_named(refusal, mistake):
    """The network or container, its host, and the parent, subnet or address that is wrong."""
    refused = refusal(mistake)
    assert refused.wanted in refused.said
