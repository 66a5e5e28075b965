"""Several workers as one: what goes to which, what comes back, and in what order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.endpoints.containers import calls as of_containers
from harness.errors import MachineError, WorkerLost
from harness.machines.fleet import Fleet, Machines
from harness.worker import calls, rounds

NODES = {"host1": "host1", "host2": "host2", "bbox1": "host1", "bbox3": "host2"}
HOUR_NS = 3_600_000_000_000


class Scripted:
    """A worker that writes down what it is asked, and answers from a table."""

    def __init__(self, name: str, log: list[tuple[str, str, Any]], answers: dict[Any, Any]) -> None:
        self.name, self._log, self._answers, self.closed = name, log, answers, False

    def start(self) -> Scripted:
        """See Machine."""
        problem = self._answers.get("start")
        if problem:
            raise problem
        return self

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """See Worker."""
        return self.begin(function, *arguments)()

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """See Worker."""
        self._log.append((function.__name__, self.name, arguments))
        answer = self._answers.get(function)

        def result() -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments) if callable(answer) else answer

        return result

    def close(self) -> None:
        """See Worker."""
        self.closed = True


def fleet(
    log: list[tuple[str, str, Any]], **answers: dict[Any, Any]
) -> tuple[Fleet, dict[str, Scripted]]:
    """Two machines, started as one."""
    workers = {name: Scripted(name, log, answers.get(name, {})) for name in ("host1", "host2")}
    return Machines(workers, NODES, 0.5).start(), workers


def test_steps_go_to_the_machine_of_their_node() -> None:
    """Each machine gets its own at once, in their order."""
    log: list[tuple[str, str, Any]] = []
    one, workers = fleet(log, host1={calls.apply: {"done": 2}}, host2={calls.apply: {"done": 1}})
    steps = [{"node": "bbox1"}, {"node": "host2"}, {"node": "host1"}]
    assert one.call(calls.apply, steps) == {"done": 3}
    assert log == [
        ("apply", "host1", ([{"node": "bbox1"}, {"node": "host1"}],)),
        ("apply", "host2", ([{"node": "host2"}],)),
    ]
    one.close()
    assert all(worker.closed for worker in workers.values())


def test_a_step_that_failed_is_told() -> None:
    """With the step itself: its place among all is not what the machine counts."""
    failed = {"done": 0, "reason": "no such interface", "step": {"node": "host2"}}
    log: list[tuple[str, str, Any]] = []
    one, _ = fleet(log, host1={calls.apply: {"done": 1}}, host2={calls.apply: failed})
    assert one.call(calls.apply, [{"node": "host1"}, {"node": "host2"}]) == failed
    one.close()


def test_a_lost_machine_is_named_when_all_have_answered() -> None:
    """So that the others are not in the middle of something."""
    log: list[tuple[str, str, Any]] = []
    lost = WorkerLost("the worker on host1 ended before it answered; run again")
    one, _ = fleet(log, host1={calls.evidence: lost}, host2={calls.evidence: []})
    with pytest.raises(WorkerLost, match="host1: the worker on host1 ended") as raised:
        one.call(calls.evidence, [("host1", "links"), ("host2", "links")])
    assert raised.value.machines == ("host1",)
    assert {name for _, name, _ in log} == {"host1", "host2"}
    one.close()


def test_machines_that_do_not_start_are_told_together() -> None:
    """And the others are not left running."""
    log: list[tuple[str, str, Any]] = []
    workers = {
        "host1": Scripted("host1", log, {"start": MachineError("host1: no such host")}),
        "host2": Scripted("host2", log, {"start": MachineError("host2: no python3")}),
        "gateway": Scripted("gateway", log, {}),
    }
    with pytest.raises(MachineError, match="host1: no such host; host2: no python3"):
        Machines(workers, NODES, 1.0).start()
    assert workers["gateway"].closed


def test_what_only_one_machine_can_do_is_refused() -> None:
    """By its name."""
    one, _ = fleet([])
    with pytest.raises(MachineError, match="machines of its own has no namespace"):
        one.call(calls.namespace)
    one.close()


def test_facts_that_differ_are_told_of_each() -> None:
    """And those that do not, once."""
    facts = {
        "kernel": "6.1", "machine": "x86_64", "vlan_datapath": "8021q",
        "firewall_backend": "iptables-nft", "cpus": 4, "versions": {"kernel": "6.1"},
    }  # fmt: skip
    other = {**facts, "kernel": "6.12", "cpus": 2, "versions": {"kernel": "6.12", "python": "3"}}
    one, _ = fleet([], host1={calls.facts: facts}, host2={calls.facts: other})
    said = one.call(calls.facts)
    assert (said["kernel"], said["vlan_datapath"]) == ("host1 6.1, host2 6.12", "8021q")
    assert (said["cpus"], said["versions"]["python"]) == (2, "host1 none, host2 3")
    assert said["hosts"]["host2"]["kernel"] == "6.12"
    one.close()


def test_processes_and_taps_are_known_by_numbers_of_their_own() -> None:
    """Two machines may have given the same one."""
    log: list[tuple[str, str, Any]] = []
    answers = {calls.start: {"pid": 7}, calls.stop: None}
    one, _ = fleet(log, host1=answers, host2=answers)
    first = one.call(calls.start, "bbox1", ["sleep"])["pid"]
    second = one.call(calls.start, "bbox3", ["sleep"])["pid"]
    assert first != second
    one.call(calls.stop, second)
    assert log[-1] == ("stop", "host2", (7,))
    one.close()


def test_engines_are_looked_at_where_they_are() -> None:
    """Each is asked for its own containers, and the answers are one."""
    log: list[tuple[str, str, Any]] = []
    said = {"absent": [], "anew": [], "readings": ["one"], "silent": []}
    one, _ = fleet(log, host1={of_containers.look: said}, host2={of_containers.look: said})
    carried = [("bbox1", "host1", "mac_net10", "eth0"), ("bbox3", "host2", "mac_net10", "eth0")]
    found = one.call(of_containers.look, carried, ["host1", "host2"])
    assert found["readings"] == ["one", "one"]
    assert log[0] == ("look", "host1", ([carried[0]], ["host1"]))
    one.close()


def probe(name: str, node: str, *, must: bool, **more: Any) -> dict[str, Any]:
    """A probe as a schedule has it, as far as it matters here."""
    return {"id": name, "kind": "icmp", "node": node, "await": must, "token": b"", **more}


def sweep_answers(ahead_ns: int) -> dict[Any, Any]:
    """A machine whose clock is ahead, and that has sent and seen one thing."""
    import time

    def now() -> int:
        return time.time_ns() + ahead_ns

    def closed(name: str, _quiet: float) -> dict[str, Any]:
        return {
            "name": name, "opened_ns": now() - 10, "closed_ns": now(),
            "sent": [("x", now(), None)], "unheard": ["x"],
            "neighbours": [], "routes": [], "unrouted": [],
        }  # fmt: skip

    return {
        rounds.begin: {}, rounds.clock: now, rounds.close_wave: closed,
        rounds.serve: {"pending": 0, "moved": False},
        rounds.end: lambda: {"frames": [(0, now(), 0, b"frame")], "taps": []},
    }  # fmt: skip


def swept(log: list[tuple[str, str, Any]], probes: list[dict[str, Any]]) -> dict[str, Any]:
    """One sweep of two machines, an hour apart by their clocks."""
    one, _ = fleet(log, host1=sweep_answers(0), host2=sweep_answers(HOUR_NS))
    plan = {
        "taps": [("bbox3", "eth0"), ("bbox1", "eth0")], "responders": [], "routers": [], "macs": [],
        "nodes": ["bbox1", "bbox3"],
        "waves": [{"name": "main", "deadline": 1.0, "quiet": 0.1, "probes": probes}],
    }  # fmt: skip
    try:
        return dict(one.call(calls.sweep, plan))
    finally:
        one.close()


def test_controls_are_sent_when_all_others_have_had_the_floor() -> None:
    """By every machine, whose taps were open before; each step waits for all of the one before."""
    log: list[tuple[str, str, Any]] = []
    swept(log, [probe("no", "bbox1", must=False), probe("yes", "bbox3", must=True)])
    names = [name for name, _, _ in log if name != "clock"]
    assert list(dict.fromkeys(names)) == [
        "begin", "open_wave", "send", "serve", "close_wave", "end",
    ]  # fmt: skip
    assert names.count("begin") == names.count("open_wave") == names.count("end") == 2
    order = [(name, arguments) for name, _, arguments in log if name in ("send", "serve")]
    assert [one[0]["id"] for name, (one, *_) in order if name == "send"] == ["no", "yes"]
    floor = [arguments for name, arguments in order[1:3]]
    assert floor == [(0.5, True), (0.5, True)]
    assert order[3][0] == "send"


def test_where_everything_must_arrive_nobody_waits() -> None:
    """The floor is for what must not."""
    log: list[tuple[str, str, Any]] = []
    swept(log, [probe("yes", "bbox3", must=True)])
    assert all(arguments[1] is False for name, _, arguments in log if name == "serve")


def test_a_beacon_is_awaited_where_it_is_to_arrive() -> None:
    """And not by the machine that sends it."""
    log: list[tuple[str, str, Any]] = []
    beacon = probe("b", "host1", must=True, kind="beacon", dst="bbox3", token=b"t")
    swept(log, [beacon])
    sent = {name: arguments for word, name, arguments in log if word == "send"}
    assert sent["host1"] == ([{**beacon, "await": False}], [])
    assert sent["host2"] == ([], [("bbox3", b"t")])


def test_times_of_all_machines_are_of_one_clock() -> None:
    """An hour between their clocks is gone, and taps have their numbers in the whole plan."""
    found = swept([], [probe("yes", "bbox3", must=True)])
    (one,), (first, second) = found["waves"], found["frames"]
    assert one["unheard"] == ["x", "x"]
    assert abs(one["sent"][0][1] - one["sent"][1][1]) < HOUR_NS / 100
    assert abs(one["closed_ns"] - one["opened_ns"]) < HOUR_NS / 100
    assert {first[0], second[0]} == {0, 1}
    assert abs(first[1] - second[1]) < HOUR_NS / 100


def test_a_machine_that_cannot_open_its_taps_ends_the_sweep() -> None:
    """By its name."""
    log: list[tuple[str, str, Any]] = []
    answers = {**sweep_answers(0), rounds.begin: {"failed": "Operation not permitted"}}
    one, _ = fleet(log, host1=answers, host2=sweep_answers(0))
    plan: Any = {"taps": [], "responders": [], "routers": [], "macs": [], "nodes": [], "waves": []}
    assert one.call(calls.sweep, plan) == {"failed": "host1: Operation not permitted"}
    one.close()
