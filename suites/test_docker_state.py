"""Networks and containers are what engines were asked for, and Docker itself imposes nothing."""


def test_network_as_its_engine_says(docker_network):
    """It has the driver, parent, mode, subnet and gateway that it was asked for."""
    assert docker_network.found == docker_network.expected


def test_container_as_its_engine_says(docker_container):
    """It is on its network, with the address and the MAC address that it was asked for."""
    assert docker_container.found.engine == docker_container.expected.engine


def test_container_link(docker_container):
    """Its interface is a macvlan of that mode on that parent, with that MAC address, and up."""
    assert docker_container.found.link == docker_container.expected.link


def test_container_address(docker_container):
    """Its interface has that address with the subnet's prefix length, and no other."""
    assert docker_container.found.addresses == docker_container.expected.addresses


def test_container_default_route(docker_container):
    """Its kernel sends what is for elsewhere to the network's gateway, if it has one."""
    assert docker_container.found.gateways == docker_container.expected.gateways


def test_docker_itself_imposes_nothing(imposed):
    """No rule but the topology's has met a packet on a host of containers, in any stage."""
    assert not [rule for rule in imposed if rule.packets]


def test_engine_makes_no_rules(imposed):
    """There is none but the topology's, of iptables-nft, iptables-legacy or nftables."""
    assert not imposed
