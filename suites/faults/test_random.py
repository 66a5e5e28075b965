"""Random faults: no verdict against plain sockets, and no cause whose own fix does not mend it."""


def test_random_fault(trial):
    """Verdicts agree with the oracle, causes with their fixes, and all heals."""
    assert trial.right, trial.explain()


def test_few_are_unknown(trials):
    """Of all that was diagnosed less than a tenth is unknown."""
    unknown, named = sum(one.unknown for one in trials), sum(one.named for one in trials)
    assert 10 * unknown <= named
