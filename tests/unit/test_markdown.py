"""The Markdown report: a pull-request comment that outside strings cannot break."""

from __future__ import annotations

from dataclasses import replace

from harness.causes import Code, Diagnosis
from harness.report.markdown import MAX_COMMENT, escaped, markdown
from tests.unit.builders import cell, failed, passed, reading, report, tutorial

EVIDENCE = (reading("routed/gateway/firewall/after"),)


def test_the_first_line_is_the_result() -> None:
    """Who reads no further knows how it ended."""
    text = markdown(report(*tutorial()))
    assert text.startswith("**PASS**: 297 cells: 297 proved, 0 failed, 0 unproved.\n")


def test_matrices_are_tables() -> None:
    """Each stage and layer has a table of GitHub's kind, and words for its legend."""
    text = markdown(report(*tutorial()))
    assert "**isolated, undone: layer 2**\n\n| from   | bbox1   |" in text
    assert "| bbox1  | .       | routed  | reach\\* | routed  | reach     |" in text
    assert "Rows send, columns receive. reach: arrives on its own VLAN; " in text


def test_failures_are_grouped_with_their_evidence() -> None:
    """One reason is told once; the reading that bears on it is named as a file of the folder."""
    found = [failed(one.cell) if one.cell.expectation.via else one for one in tutorial()]
    text = markdown(report(*found, evidence=EVIDENCE))
    assert "**FAIL** routed: lost in the gateway (24 cells)\n\n- icmp, tcp, udp: bbox1 to" in text
    assert "- evidence: evidence/routed-gateway-firewall-after.txt\n" in text
    assert "| **FAIL 3/3** |" in text
    assert "| evidence      | report.json, evidence/ (1 reading), captures/\\*.pcapng |" in text


def test_many_nodes_get_a_table_of_families() -> None:
    """A comment holds no matrix of twenty columns."""
    text = markdown(report(*(passed(cell(f"b{n}", "b0")) for n in range(1, 20))))
    assert "| isolated | same-vlan | 19      | 19       | .         | .      | .    |" in text


def test_a_group_without_evidence_has_no_such_line() -> None:
    """Nothing is said of files that there are not."""
    text = markdown(report(replace(failed(cell("a", "b")), evidence=())))
    assert "- evidence:" not in text


def test_a_run_without_cells_has_no_table_of_them() -> None:
    """Nothing judged: the headline, what does not apply, the run's facts."""
    text = markdown(report(leftovers=("cgroup x",)))
    assert text.startswith("**ERROR**: 0 cells")
    assert "layer" not in text
    assert "Left behind: cgroup x\n" in text


def test_outside_strings_are_text() -> None:
    """Table bars, code marks, HTML, links and mentions lose their meaning."""
    assert escaped("a|b`c`<img>[x](y)@me\n") == ("a\\|b\\`c\\`\\<img\\>\\[x\\](y)&#64;me\\\\n")


def test_hostile_names_break_no_table() -> None:
    """Every row of a table has as many cells as its header, whatever a node is called."""
    text = markdown(report(failed(cell("a|`b\n| x |", "<script>"), "`|\n# why"), kernel="|`"))
    assert "<script>" not in text
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3}
    assert "\n# why" not in text


def test_the_comment_is_never_too_long() -> None:
    """Hundreds of reasons of any length stay below GitHub's limit, and the rest is counted."""
    found = [failed(cell(f"b{n}", "b0"), f"{n}" + "|@" * 5000) for n in range(1, 300)]
    text = markdown(report(*found, not_applicable=("@" * 9000,) * 50))
    assert len(text.encode()) < 65_536
    assert " more cells; `report.json` has them all.\n" in text
    assert "; and 38 more\n" in text


def test_faults_come_before_the_cells() -> None:
    """Escaped like all that comes from outside, and with what mends them."""
    fault = Diagnosis(Code.RAW_DROP, "gateway", "rule", "a *rule* drops it", "iptables -F", ("a",))
    found = markdown(
        replace(report(), diagnoses=(fault, replace(fault, fix="", code=Code.UNKNOWN)))
    )
    assert (
        "**CAUSE** raw-drop: a \\*rule\\* drops it (1 cell)\n\n- on gateway: iptables -F" in found
    )
    assert "**CAUSE** unknown: a" in found


def test_what_changed_since_a_baseline_is_told_early() -> None:
    """Before the matrices, which are long."""
    text = markdown(report(*tutorial()), "**kernel 1 -> 2: 0 regressions**\n\n- old: a\n")
    assert text.index("Since the baseline: **kernel 1 -> 2: 0 regressions**") < text.index(
        "layer 2"
    )


def test_what_a_comment_does_not_hold_is_cut_and_said_to_be() -> None:
    """After a line, whatever is in it; the run's facts stay, and it is said where the rest is."""
    since = "\n".join(f"| {number} | \u00e9{'x' * 90} |" for number in range(2000))
    text = markdown(report(*tutorial()), since)
    assert 60_000 < len(text.encode()) <= MAX_COMMENT
    assert "x |\n\nCut here, to fit into a comment: `report.html` has the rest.\n\n" in text
    assert text.endswith("captures/\\*.pcapng |\n")
