"""An engine with docker0 and rules of iptables, as people run it, imposes nothing on macvlan."""


def test_macvlan_is_as_without_rules(engine_rules):
    """Each cell that ends on the engine's host is what it was, and is proved."""
    assert not engine_rules.wrong, "\n".join(engine_rules.wrong)


def test_rules_are_there(engine_rules):
    """The engine has made rules, so that to count none of them means something."""
    assert len(engine_rules.rules) > 1, str(engine_rules)


def test_rules_meet_no_packet(engine_rules):
    """Not one packet of all those probes has met a rule of the engine's."""
    assert not engine_rules.met, str(engine_rules)
