"""What the restart of an engine does to containers, and to flows between two hosts."""


def test_live_restore_keeps_containers(engine_restart):
    """With live-restore every container runs on."""
    restarted = engine_restart(live_restore=True)
    assert restarted.running == restarted.carried, str(restarted)


def test_live_restore_keeps_flows(engine_restart):
    """With live-restore a steady ping and a TCP stream from another host lose nothing."""
    restarted = engine_restart(live_restore=True)
    assert restarted.lost == 0, str(restarted)


def test_without_live_restore_containers_end(engine_restart):
    """Without it every container of the engine ends, and none is started by itself."""
    restarted = engine_restart(live_restore=False)
    assert not restarted.running, str(restarted)


def test_without_live_restore_flows_break(engine_restart):
    """Without it each flow loses what was sent after the end of its container."""
    restarted = engine_restart(live_restore=False)
    assert all(flow.lost for flow in restarted.flows), str(restarted)


def test_started_again_it_answers(engine_restart):
    """After `docker start` a container is reached from outside at once."""
    restarted = engine_restart(live_restore=False)
    assert restarted.again.answered, str(restarted.again)
