"""The terminal's report: read at a glance, within 100 columns, whatever the names are."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.causes import Code, Diagnosis
from harness.flow import Family, Outcome, Stage, Verdict
from harness.report.summary import clean, observed, word
from harness.report.text import COLUMNS, terminal
from tests.unit.builders import cell, failed, hop, passed, report, tutorial, unproved

FOLDER = "reports/20261123T200501Z-5f3a"
ROUTED: dict[str, Any] = {"stage": Stage.ROUTED, "via": ("gateway",)}
SILENT = Outcome.SILENT


def broken() -> list[Verdict]:
    """The tutorial lab with a gateway that routes nothing, and a tap that lost packets."""
    found = [failed(one.cell) if one.cell.expectation.via else one for one in tutorial()]
    return [
        unproved(one.cell) if one.cell.id == "undone-bbox1-to-bbox4-udp" else one for one in found
    ]


def many_nodes() -> list[Verdict]:
    """Twenty endpoints that reach their neighbour."""
    return [passed(cell(f"box{n}", f"box{(n + 1) % 20}")) for n in range(20)]


def test_a_pass_fits_a_screen() -> None:
    """Three stages of four endpoints, their legend and summary, stages that read the same once."""
    text = terminal(report(*tutorial()), FOLDER, colour=False)
    assert len(text.splitlines()) < 40
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert "isolated, undone: layer 2                     isolated, undone: layer 3" in text
    assert "bbox1  .       routed  reach*  routed  reach" in text


def test_the_summary_counts_and_says_on_what() -> None:
    """Counts, stages, datapath, firewall, kernel and where the report is."""
    text = terminal(report(*tutorial()), FOLDER, colour=False)
    assert "\nPASS 297 cells: 297 proved, 0 failed, 0 unproved\n" in text
    assert "stages isolated, routed, undone; 12.3 s; VLAN datapath tc-bpf; firewall" in text
    assert "kernel 6.18.0" in text
    assert text.endswith(f"\npage: {FOLDER}/report.html\nreport: {FOLDER}\n")


def test_a_run_without_a_page_says_why() -> None:
    """In the place of its path, and where the rest is as ever."""
    text = terminal(report(*tutorial()), FOLDER, False, "none could be made (KeyError: 'x')")
    assert text.endswith(f"\npage: none could be made (KeyError: 'x')\nreport: {FOLDER}\n")


def test_failures_of_one_reason_are_told_once() -> None:
    """Twenty-four cells lost at one place are a paragraph, with where the token was last seen."""
    text = terminal(report(*broken()), FOLDER, colour=False)
    assert text.count("lost in the gateway") == 1
    assert "FAIL routed: lost in the gateway (24 cells)\n  icmp, tcp, udp: bbox1 to bbox2," in text
    assert "  last seen at gateway:eth2 (in)\n  lost before gateway:eth2 (out)\n" in text
    assert "  evidence: routed/gateway/firewall/after\n" in text
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_what_could_not_be_told_is_told_after_failures() -> None:
    """UNPROVED is a title of its own, never among the passes."""
    text = terminal(report(*broken()), FOLDER, colour=False)
    assert text.index("FAIL routed") < text.index("UNPROVED undone: the tap at bbox4 lost 3")
    assert "?? 1" in text
    assert "FAIL 297 cells: 272 proved, 24 failed, 1 unproved" in text


def test_colour_changes_nothing_but_colour() -> None:
    """Escapes are there only if asked for, and take no room."""
    plain = terminal(report(*broken()), FOLDER, colour=False)
    coloured = terminal(report(*broken()), FOLDER, colour=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31mFAIL 3/3\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_many_nodes_get_a_table_of_families() -> None:
    """A matrix of 20 x 20 is not read by anybody: stages and families are counted."""
    text = terminal(report(*many_nodes()), FOLDER, colour=False)
    assert "stage     family     cells  arrive  blocked  FAIL  ??" in text
    assert "isolated  same-vlan  20     20      .        .     ." in text
    assert "layer 2" not in text


def test_long_names_get_a_table_of_families() -> None:
    """Where a matrix is wider than the screen, the counts stand in."""
    names = [f"{'x' * 28}{n}" for n in range(5)]
    found = [passed(cell(names[n], names[n - 1])) for n in range(5)]
    text = terminal(report(*found), FOLDER, colour=False)
    assert "isolated  same-vlan  5" in text
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_layers_without_room_stand_below_each_other() -> None:
    """Seven destinations fill the width; nothing is cut."""
    nodes = [f"endpoint{n}" for n in range(7)]
    found = [passed(cell(a, b, p)) for a in nodes for b in nodes if a != b for p in ("arp", "icmp")]
    text = terminal(report(*found), FOLDER, colour=False)
    assert "\n\nisolated: layer 3\n" in text
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_a_run_without_cells_says_so() -> None:
    """Nothing judged is an error in words, without an empty matrix."""
    text = terminal(report(not_applicable=()), FOLDER, colour=False)
    assert text.startswith("ERROR 0 cells: 0 proved, 0 failed, 0 unproved\n")


def test_what_does_not_apply_and_what_is_left_is_listed() -> None:
    """A missing class of cells and a leftover are never silent."""
    made = report(not_applicable=("cold: no gateway",), leftovers=("cgroup x",), other_failures=1)
    text = terminal(made, FOLDER, colour=False)
    assert "not applicable: cold: no gateway\n" in text
    assert "left behind: cgroup x\n" in text
    assert "; 1 other test failed\n" in text


def test_many_different_reasons_are_cut_and_counted() -> None:
    """A screen holds some groups; how many cells are not on it is said."""
    found = [failed(cell(f"b{n}", "b0"), f"reason {n}") for n in range(1, 16)]
    text = terminal(report(*found), FOLDER, colour=False)
    assert text.count("FAIL isolated:") == 12
    assert "and 3 more cells with other reasons; report.json has them all" in text


def test_different_observations_are_counted() -> None:
    """In one group, each place and outcome has its number of cells; few are spelt out."""
    found = [
        failed(cell(f"b{n}", "b0"), path=(hop(f"node{n}"),), lost_at=None) for n in range(1, 6)
    ]
    stray = hop("host2", vlan=20), hop("host2", vlan=None)
    found.append(failed(cell("b7", "b0"), path=(), lost_at=None, strays=stray))
    text = terminal(report(*found), FOLDER, colour=False)
    assert "  last seen at node1:eth2 (in) (1 cell)\n" in text
    assert "  and 4 more\n" in text
    text = terminal(report(replace(found[-1], evidence=())), FOLDER, colour=False)
    assert "evidence:" not in text
    assert "  also seen at host2:eth2 (in), VLAN 20\n" in text
    assert "  also seen at host2:eth2 (in), untagged\n" in text


def test_hostile_strings_reach_no_terminal() -> None:
    """Escapes, line ends and direction marks from outside are shown, not obeyed."""
    evil = "\x1b]0;owned\x07\r\n\u202e\ud800"
    made = report(
        failed(cell(evil, "b"), evil, path=(hop(evil),)),
        kernel=evil,
        leftovers=(evil,),
        not_applicable=(evil,),
    )
    text = terminal(made, evil, colour=False)
    assert all(c == "\n" or c.isprintable() for c in text)
    assert r"\x1b]0;owned\x07\r\n\u202e\ud800" in text


def test_an_endless_string_is_cut() -> None:
    """A kernel's or a tool's answer of 100,000 characters does not fill the screen."""
    assert clean("x" * 100_000) == "x" * 297 + "..."


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([], "."),
        ([passed(cell("a", "b"))], "reach"),
        ([passed(cell("a", "b", **ROUTED))], "routed"),
        ([passed(cell("a", "b", expected=SILENT))], "block"),
        ([passed(cell("a", "b", expected=SILENT, arrives=True))], "1-way"),
        ([passed(cell("a", "b", "tcp", expected=Outcome.REFUSED))], "reach"),
        ([passed(cell("a", "b")), passed(cell("a", "b", "tcp", expected=SILENT))], "reach 1/2"),
        ([passed(cell("a", "b")), failed(cell("a", "b", "tcp"))], "FAIL 1/2"),
        ([unproved(cell("a", "b")), failed(cell("a", "b", "tcp"))], "FAIL 1/2"),
        ([unproved(cell("a", "b")), passed(cell("a", "b", "tcp"))], "?? 1"),
        (
            [passed(cell("a", "b")), passed(cell("a", "b", "icmp:1473", expected=SILENT))],
            "reach*",
        ),
        (
            [passed(cell("a", "b", "arp", expected=SILENT)), passed(cell("a", "b", "arp:10"))],
            "block*",
        ),
        ([passed(cell("a", "b", "icmp:1472", family=Family.MTU))], "reach"),
    ],
)
def test_a_pair_is_one_word(verdicts: list[Verdict], said: str) -> None:
    """What a cell of the matrix says of the pair's probes."""
    assert word(observed(verdicts)) == said


def test_the_legend_explains_what_is_there() -> None:
    """Only words of the matrices are explained, each of them is."""
    blocked = passed(cell("a", "b", "tcp", stage=Stage.ROUTED, expected=SILENT))
    text = terminal(report(passed(cell("a", "b", **ROUTED)), blocked), FOLDER, colour=False)
    assert "  reach 2/3  as expected, which is: 2 of 3 probes arrive" in text
    assert "  routed     arrives through a router" in text
    assert "block" not in text


FAULT = Diagnosis(
    Code.IP_FORWARD_OFF, "gateway", "net.ipv4.ip_forward", "gateway does not forward",
    "sysctl -w net.ipv4.ip_forward=1", tuple(f"cell-{number}" for number in range(24)),
)  # fmt: skip
UNTOLD = Diagnosis(Code.UNKNOWN, None, None, "nobody knows", "", ("one",))


def test_faults_come_first_and_in_a_line_each() -> None:
    """One fault with 24 cells is one line, and below it what mends it."""
    found = replace(report(*broken()), diagnoses=(FAULT, UNTOLD))
    text = terminal(found, FOLDER, colour=False)
    assert text.startswith(
        "CAUSE ip-forward-off: gateway does not forward (24 cells)\n"
        "  on gateway: sysctl -w net.ipv4.ip_forward=1\n"
        "CAUSE unknown: nobody knows (1 cell)\n\n"
    )


def test_a_fix_without_a_node_says_no_place() -> None:
    """Where it is not known whose fault it is."""
    found = replace(report(*broken()), diagnoses=(replace(FAULT, node=None),))
    assert "\n  mend it: sysctl -w" in terminal(found, FOLDER, colour=False)
