"""Taken back, the gateway leaves everything as it was."""


def test_undone_equals_isolated(outcomes):
    """Every cell has the outcome that it had before the gateway was made."""
    assert outcomes[0] == outcomes[1]


def test_undone_node_equals_isolated(readings):
    """Every node has the links, addresses, routes, rules and sysctls that it had before."""
    assert readings[0] == readings[1]
