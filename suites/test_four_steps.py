"""The tutorial's four steps of a routed packet: tables and path agree on each."""


def test_source_route(steps):
    """The source's route table sends it to the gateway."""
    agree, said = steps.source_route
    assert agree, said


def test_router_route(steps):
    """The router takes it from one sub-interface, and its route table sends it out of the other."""
    agree, said = steps.router_route
    assert agree, said


def test_router_neighbour(steps):
    """The router's ARP table says at which MAC the destination is, and that is where it goes."""
    agree, said = steps.router_neighbour
    assert agree, said


def test_delivery(steps):
    """The destination's host hands it to the destination, by VLAN and address."""
    agree, said = steps.delivery
    assert agree, said
