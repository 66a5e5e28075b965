"""The fault catalogue: what it holds, what it predicts, and what it makes of what was found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from harness.causes import Code, Diagnosis
from harness.errors import Unsupported
from harness.faults.benches import Benches
from harness.faults.catalogue import BENIGN, FAULTS, PAIRS, SINGLE
from harness.faults.change import PYTHON
from harness.faults.example import example
from harness.faults.fault import OWN_KERNEL, Prediction
from harness.faults.grammar import drawn
from harness.faults.listing import entry, lines
from harness.faults.predict import built, cells, predict, shipped
from harness.faults.table import table
from harness.faults.tried import Tried
from harness.flow import Ruling

BY_NAME = {fault.name: fault for fault in FAULTS}
NOT_INJECTED = {
    Code.MACHINE_UNREACHABLE: "no lab outlives it: tests/ssh/test_runs.py, test_machine_lost.py",
    Code.UNKNOWN: "is what is left",
}
"""Causes that nothing in a namespace brings about, and why."""


CHOSEN = (
    "policy-rule-diverts", "route-unreachable", "arp-ignored", "arp-disabled", "port-security",
    "service-refused", "rejected-at-bbox4", "conntrack-invalid", "ndp-filtered", "proxy-arp-leak",
    "gateway-down", "subinterface-missing", "benign-proxy-arp", "benign-policy-rule",
)  # fmt: skip
"""Faults that take each another part of the fake network. `make faults` compares all."""


def test_catalogue_is_large_enough() -> None:
    """There are 80 faults, 15 pairs and 15 changes that break nothing, with names of their own."""
    assert len(BY_NAME) == len(FAULTS)
    assert (len(SINGLE) >= 80, len(PAIRS) >= 15, len(BENIGN) >= 15) == (True, True, True)


def test_every_cause_is_brought_about_twice() -> None:
    """Of each cause there are two faults, or a reason why there is none."""
    counted = Counter(code for fault in SINGLE for code in fault.causes)
    missing = {code for code in Code if counted[code] < 2}
    assert missing == NOT_INJECTED.keys()


def test_commands_are_for_nodes() -> None:
    """What injects a fault and what undoes it are commands for nodes that its lab has."""
    for fault in FAULTS:
        nodes = shipped(fault.topology).nodes
        commands = fault.change.do + fault.change.undo
        assert commands
        strange = [one for one in commands if one[0] not in nodes or len(one) < 2]
        assert strange == [], fault.name


def test_all_alter_the_model_that_they_are_predicted_by() -> None:
    """Each change can be made of the fake network of its lab; pairs are of the same."""
    for fault in (*SINGLE, *BENIGN):
        lab, machine = built(fault.topology)
        lab.enter(fault.stage)
        fault.change.alter(machine.workers[0].state)


@pytest.mark.parametrize("name", CHOSEN)
def test_only_what_breaks_something_is_predicted_red(name: str) -> None:
    """A fault turns cells red, whose causes it names; a benign change turns none."""
    fault = BY_NAME[name]
    found = predict(fault)
    assert bool(found.red) is not fault.is_benign
    assert set(found.rulings) == {cell.id for cell in cells(fault.topology, fault.stage)}
    assert {code for codes in found.causes.values() for code in codes} == set(fault.causes)


@pytest.mark.parametrize(
    ("name", "cell", "ruling"),
    [
        ("ip-forward-off", "routed-bbox1-to-bbox4-icmp", Ruling.FAIL),
        ("ip-forward-off", "routed-bbox1-to-bbox3-icmp", Ruling.PASS),
        ("ip-forward-off-at-eth2.10", "routed-bbox4-to-bbox1-udp", Ruling.FAIL),
        ("masquerade-missing", "routed-bbox1-to-bbox4-icmp", Ruling.FAIL),
        ("masquerade-missing", "routed-bbox4-to-bbox1-icmp", Ruling.PASS),
        ("output-drop", "routed-bbox1-to-bbox4-tcp", Ruling.UNPROVED),
        ("route-blackhole", "routed-bbox1-to-bbox4-icmp", Ruling.UNPROVED),
        ("trunk-disconnected", "routed-bbox3-to-bbox4-icmp", Ruling.PASS),
        ("trunk-disconnected", "routed-bbox1-to-bbox2-arp", Ruling.UNPROVED),
        ("extra-hop", "routed-bbox1-to-bbox3-icmp", Ruling.FAIL),
        ("mtu-mismatch", "routed-bbox1-to-bbox3-icmp:1472", Ruling.FAIL),
        ("mtu-mismatch", "routed-bbox1-to-bbox3-icmp", Ruling.PASS),
        ("vlan-leak", "routed-bbox1-to-bbox4-l2-broadcast", Ruling.FAIL),
        ("broadcast-lost-to-macvlan", "routed-gateway-to-bbox3-icmp", Ruling.FAIL),
        ("probe-not-sent-for-want-of-a-port", "routed-bbox1-to-bbox4-tcp", Ruling.UNPROVED),
        ("probe-not-sent-for-want-of-a-port", "routed-bbox1-to-bbox4-icmp", Ruling.PASS),
        ("probe-not-sent-for-want-of-a-port", "routed-bbox4-to-bbox1-tcp", Ruling.PASS),
        ("tap-dead-interface-flaps", "routed-bbox1-to-bbox3-icmp", Ruling.UNPROVED),
        ("tap-dead-frames-flood", "routed-bbox1-to-bbox2-arp", Ruling.UNPROVED),
        ("container-not-running", "routed-bbox3-to-bbox1-icmp", Ruling.FAIL),
        ("container-not-running", "routed-bbox1-to-bbox4-l2-unicast", Ruling.UNPROVED),
        ("container-not-running", "routed-bbox2-to-bbox4-icmp", Ruling.PASS),
    ],
)
def test_prediction(name: str, cell: str, ruling: Ruling) -> None:
    """What is predicted is what somebody who knows networks would say."""
    assert predict(BY_NAME[name]).rulings[cell] is ruling


def test_pair_blames_who_turned_a_cell_red() -> None:
    """Of a pair's cells each names the fault that turns it red alone, or either."""
    both = BY_NAME["default-route-missing+input-drop"]
    causes = predict(both).causes
    assert causes["routed-bbox1-to-bbox2-icmp"] == (Code.DEFAULT_ROUTE_MISSING,)
    assert causes["routed-bbox3-to-bbox4-icmp"] == (Code.INPUT_DROP,)
    assert causes["routed-bbox1-to-bbox4-icmp"] == both.causes


def test_entry_tells_all_of_a_fault() -> None:
    """A program is told how it is injected, undone, and what becomes of every cell."""
    found = entry(BY_NAME["benign-mark"])
    assert found["inject"] == ["gateway# iptables -t mangle -A PREROUTING -j MARK --set-mark 7"]
    assert {one["verdict"] for one in found["cells"]} == {"pass"}
    assert len(found["cells"]) == 160


def test_lines_name_the_red_cells() -> None:
    """A person is told the cells that are not green, and why."""
    found = lines(BY_NAME["l4-filtered-port"])
    assert "cause   l4-filtered" in found
    assert "  routed-bbox1-to-bbox4-udp: fail (l4-filtered)" in found
    assert lines(BY_NAME["benign-mark"])[-1] == "all cells green"


def test_interpreter_is_named_as_a_person_would() -> None:
    """A listing has no path of this machine in it."""
    found = entry(BY_NAME["vlan-leak"])["inject"]
    assert found == [f"switch# {PYTHON} -m harness.worker.retag host2 10 20"]


FAULT = BY_NAME["l4-filtered-port"]
DIAGNOSIS = Diagnosis(Code.L4_FILTERED, "bbox4", "the rule", "a rule drops it", "true", ("a",))
WRONG = Diagnosis(Code.INPUT_DROP, "bbox4", None, "something else", "true", ("a",))


def tried(**found: object) -> Tried:
    """A fault of one red cell, found just as it was predicted."""
    right = Tried(
        FAULT,
        Prediction({"a": Ruling.FAIL, "b": Ruling.PASS}, {"a": (Code.L4_FILTERED,)}),
        rulings={"a": Ruling.FAIL, "b": Ruling.PASS},
        causes={"a": Code.L4_FILTERED},
        diagnoses=(DIAGNOSIS,),
        unmended=(),
        unhealed=(),
        ms=7,
    )
    return replace(right, **found)  # type: ignore[arg-type]


def test_right_as_predicted() -> None:
    """Cells and causes as predicted, mended and healed: that is right."""
    assert (tried().right, tried().explain().count("\n")) == (True, 0)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"rulings": {"a": Ruling.PASS, "b": Ruling.PASS}}, "a: predicted fail, found pass"),
        ({"rulings": {"a": Ruling.FAIL}}, "b: predicted pass, found None"),
        ({"diagnoses": ()}, "l4-filtered was not named"),
        ({"diagnoses": (DIAGNOSIS, WRONG)}, "input-drop was named at bbox4: something else"),
        ({"unmended": ("a: fail",)}, "after the fix: a: fail"),
        ({"unhealed": ("a: fail",)}, "after the undo: a: fail"),
        (
            {"fault": replace(FAULT, causes=(Code.L4_FILTERED, Code.INPUT_DROP)),
             "diagnoses": (DIAGNOSIS, WRONG), "causes": {"a": Code.INPUT_DROP}},
            "a: named input-drop, not l4-filtered",
        ),
    ],
)  # fmt: skip
def test_wrong_is_told(found: dict[str, object], said: str) -> None:
    """Whatever is not as predicted is not right, and is said."""
    one = tried(**found)
    assert not one.right
    assert said in one.explain()


def test_unsteady_fault_needs_some_red_cell() -> None:
    """Which cells turn red at a fault that is another each time is not compared."""
    unsteady = replace(FAULT, steady=False)
    other = {"a": Ruling.PASS, "b": Ruling.UNPROVED}
    assert tried(fault=unsteady, rulings=other, causes={"b": Code.L4_FILTERED}).right
    none = tried(fault=unsteady, rulings=dict.fromkeys("ab", Ruling.PASS))
    assert none.wrong == ("nothing turned red",)


def test_what_a_machine_lacks_turns_no_other_cell_red() -> None:
    """Who gets what room there is differs, but nobody else may want for it."""
    limit = replace(FAULT, steady=False, machine=True)
    assert tried(fault=limit).right
    beyond = tried(fault=limit, rulings={"a": Ruling.FAIL, "b": Ruling.FAIL})
    assert beyond.wrong == ("b: predicted pass, found fail",)


def test_what_takes_a_kernel_of_its_own_is_refused_on_another() -> None:
    """The reason is what is printed of a test that is skipped, and says how it is run."""
    fault = BY_NAME["conntrack-full"]
    assert OWN_KERNEL in lines(fault)
    with Benches() as benches, pytest.raises(Unsupported, match="needs a virtual machine"):
        benches.tried(fault).result()


def test_example_is_of_the_diagnosis_that_explains_most() -> None:
    """What docs/causes.json keeps: where it was, if that is unusual, and what was said."""
    other = replace(FAULT, topology="jumbo", backend="docker")
    more = replace(DIAGNOSIS, message="another rule does", cells=("a", "b"))
    found = example(tried(fault=other, diagnoses=(WRONG, DIAGNOSIS, more)), Code.L4_FILTERED)
    assert found == {
        "fault": "l4-filtered-port", "topology": "jumbo", "backend": "docker",
        "done": [["bbox4", "iptables -t filter -A INPUT -p udp --dport 7 -j DROP"]],
        "message": "another rule does", "node": "bbox4", "fix": "true", "cells": 2,
    }  # fmt: skip


def test_table_has_a_line_each() -> None:
    """The table says what was predicted and seen, and marks what is wrong."""
    lines_of = table([tried(), tried(diagnoses=()), tried(fault=replace(FAULT, causes=()))])
    rows = lines_of.splitlines()[2:]
    assert rows[0].split() == ["l4-filtered-port", "1", "1", "l4-filtered", "l4-filtered", "7"]
    assert rows[1].split()[-3:] == ["-", "7", "WRONG"]
    assert rows[2].split()[3] == "-"


def test_seed_draws_the_same_fault_again() -> None:
    """A seed is all that is needed; seeds draw one to three changes of every kind."""
    faults = [drawn(seed) for seed in range(300)]
    assert [drawn(seed).change.do for seed in range(9)] == [one.change.do for one in faults[:9]]
    assert {one.sentence.count(", ") for one in faults} == {0, 1, 2}
    words = " ".join(one.sentence for one in faults)
    wanted = ("FORWARD", "INPUT", "OUTPUT", "nft", "route", "02:6e", "down", "->", "mtu")
    assert [word for word in wanted if word not in words] == []


def test_random_faults_are_undone_by_as_many_commands() -> None:
    """Each change of a random fault has its undo, for a node of the lab."""
    nodes = shipped("macvlan-two-host").nodes
    for fault in (drawn(seed) for seed in range(100)):
        assert len(fault.change.do) == len(fault.change.undo)
        assert {command[0] for command in fault.change.do + fault.change.undo} <= set(nodes)
