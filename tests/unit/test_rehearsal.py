"""Rehearsals from values: which runs they are made of, and what is said of their reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.causes import Cause, Code
from harness.errors import InputError
from harness.flow import Family, Ruling, Stage, Verdict
from harness.rehearsal.combination import (
    ENGINES_MIB,
    MACHINE_MIB,
    RUN_MIB,
    RUNNING,
    Combination,
    arguments,
    at_once,
    combinations,
)
from harness.rehearsal.judgement import (
    Judgement,
    Rehearsed,
    Word,
    broken,
    folder_of,
    judge,
    sentence,
    worst,
)
from harness.rehearsal.result import Rehearsal
from harness.rehearsal.table import Entry
from harness.rehearsal.text import markdown, text
from harness.report.document import document
from tests.unit.builders import cell, failed, passed, report, tutorial, unproved

LAB = {"tutorial": "topologies/tutorial.yaml"}
GOOD = passed(cell("bbox1", "bbox3"))
BAD = failed(cell("bbox1", "bbox3"))
OPEN = unproved(cell("bbox1", "bbox3"))
DROP = replace(BAD, cause=Cause(Code.RAW_DROP, "gateway", "raw", "it drops"))


def run(column: str = "6.1", backend: str = "netns") -> Combination:
    """A run of a kernel."""
    return Combination(column, column, "", "tutorial", LAB["tutorial"], backend)


def done(*verdicts: Verdict, column: str = "6.1", events: Any = (), **fields: Any) -> Rehearsed:
    """A run with a report; fields: code, ended, backend, those of the report."""
    code, ended = fields.pop("code", 0), fields.pop("ended", None)
    backend = fields.pop("backend", "netns")
    found = document(report(*verdicts, kernel=f"{column}.0", **fields))
    if events:
        found["run"]["kernel_events"] = [
            {"kind": kind, "text": f"a {kind}", "evidence": "console"} for kind in events
        ]
    found["run"]["exit"] = ended or found["run"]["exit"]
    return Rehearsed(run(column, backend), "", code, f"reports/{column}", found)


def unbooted(column: str = "6.2", backend: str = "netns") -> Rehearsed:
    """A run without a report."""
    return Rehearsed(run(column, backend), "it does not boot", 3)


def rehearsal(*runs: Rehearsed) -> Rehearsal:
    """A whole one, whose cells are of the family that the builders give them."""
    found = {one.cell.id: str(one.cell.family) for one in (*tutorial(), GOOD)}
    return Rehearsal(runs, {"tutorial": found})


def entries(*runs: Rehearsed) -> list[tuple[str, str, str]]:
    """Stage, probes and entries of each line of the table, the signs with them."""
    return [
        (
            f"{row.stage} {row.family}",
            ", ".join(row.probes),
            " | ".join(f"{s}{e}" for s, e in zip(row.signs, row.entries, strict=True)),
        )
        for row in rehearsal(*runs).rows
    ]


def test_each_kernel_with_each_lab() -> None:
    """Kernel by kernel, as they were named; a kernel named twice is told apart."""
    found = combinations(["6.1", RUNNING, "6.1"], LAB, ["netns", "docker", "netns"])
    assert [one.name for one in found] == [
        f"{kernel}, tutorial on {backend}"
        for kernel in ("6.1", "running", "6.1 (2)")
        for backend in ("netns", "docker")
    ]
    assert {one.file for one in found} == {"topologies/tutorial.yaml"}


@pytest.mark.parametrize(
    ("kernels", "heads"),
    [
        (["6.1", "build/linux/", "."], ["6.1", "linux", "."]),
        (["a/linux", "b/linux", "c"], ["a/linux", "b/linux", "c"]),
        (["a/image.deb,a/modules.deb"], ["image.deb"]),
        (["a/linux", "a/linux"], ["linux", "linux (2)"]),
    ],
)
def test_a_path_is_called_by_its_last_part(kernels: list[str], heads: list[str]) -> None:
    """Unless two are called the same."""
    found = combinations(kernels, LAB, ["netns"])
    assert [one.column for one in found] == heads
    assert [one.kernel for one in found] == kernels


def test_engines_are_columns_too() -> None:
    """Each with each kernel; a lab without an engine has no such column."""
    found = combinations(["6.1", "7.2"], LAB, ["docker"], ["20.10", "28"])
    assert [(one.column, one.engine) for one in found] == [
        ("6.1, Docker 20.10", "20.10"), ("6.1, Docker 28", "28"),
        ("7.2, Docker 20.10", "20.10"), ("7.2, Docker 28", "28"),
    ]  # fmt: skip
    with pytest.raises(InputError, match="--engine needs --backend docker alone; netns runs no"):
        combinations(["6.1"], LAB, ["docker", "netns"], ["28"])


@pytest.mark.parametrize(
    ("kernels", "backend", "cores", "free_mib", "wanted"),
    [
        ((RUNNING,) * 4, "netns", 2, 10_000, 2),
        ((RUNNING,) * 4, "netns", 8, 10_000, 4),
        ((RUNNING,) * 4, "docker", 8, 3 * RUN_MIB, 3),
        (("6.1",) * 4, "netns", 8, 3 * RUN_MIB, 1),
        (("6.1", RUNNING), "netns", 8, 2 * (RUN_MIB + MACHINE_MIB), 2),
        (("6.1", RUNNING), "docker", 8, 2 * (RUN_MIB + MACHINE_MIB), 1),
        (("6.1", RUNNING), "docker", 8, 2 * (RUN_MIB + ENGINES_MIB), 2),
        ((RUNNING,), "netns", 1, 0, 1),
        ((), "netns", 4, 4000, 1),
    ],
)
def test_as_many_at_once_as_the_machine_carries(
    kernels: tuple[str, ...], backend: str, cores: int, free_mib: int, wanted: int
) -> None:
    """By cores and memory, of which a virtual machine takes most; one in any case."""
    assert at_once(combinations(kernels, LAB, [backend]), cores, free_mib) == wanted


def test_what_pytest_is_given() -> None:
    """A kernel only where there is one to boot, an engine only where one is chosen."""
    (booted,) = combinations(["6.1"], LAB, ["docker"], ["28"])
    given = arguments(booted, "suites", "reports", ("--lab-stage=routed",))
    assert {"--lab-kernel=6.1", "--lab-engine=28", "--lab-stage=routed"} <= set(given)
    assert {"--lab-topology=topologies/tutorial.yaml", "--lab-backend=docker"} <= set(given)
    (plain,) = combinations([RUNNING], LAB, ["netns"])
    given = arguments(plain, "suites", "reports", ())
    assert not any(one.startswith(("--lab-kernel", "--lab-engine")) for one in given)
    assert "--lab-reports=reports" in given


@pytest.mark.parametrize(
    ("of", "word", "why"),
    [
        (done(GOOD), "good", "all 1 cell proved"),
        (done(BAD), "bad", "1 of 1 cell failed (silent)"),
        (done(DROP), "bad", "1 of 1 cell failed (raw-drop)"),
        (done(OPEN), "untestable", "1 of 1 cell unproved: the tap at bbox4 lost 3 packets"),
        (done(OPEN, replace(BAD, cell=cell("bbox3", "bbox1"))), "bad",
         "1 of 2 cells failed (silent)"),
        (done(GOOD, other_failures=1), "bad", "a test beside the cells failed"),
        (done(GOOD, ended="error"), "untestable",
         "a part of it could not be done (pytest ended with 0)"),
        (done(GOOD, code=3), "untestable", "a part of it could not be done (pytest ended with 3)"),
        (done(), "untestable", "no cell was asked"),
        (done(GOOD, events=["warning"]), "bad", "warning: a warning"),
        (done(OPEN, events=["panic"], code=1), "bad", "panic: a panic"),
        (done(events=["module-missing"], code=3), "bad", "module-missing: a module-missing"),
        (done(events=["hang"], code=3, ended="fail"), "bad", "hang: a hang"),
        (done(BAD, events=["taint", "oops"]), "bad",
         "taint: a taint; oops: a oops; 1 of 1 cell failed (silent)"),
        (done(events=["no-boot"], code=3), "untestable", "no-boot: a no-boot"),
        (unbooted(), "untestable", "it does not boot"),
    ],
)  # fmt: skip
def test_judgement_of_a_run(of: Rehearsed, word: str, why: str) -> None:
    """Bad is what went wrong on a kernel that runs; the rest is no word against it."""
    found = judge(of)
    assert (found.word, found.why) == (Word(word), why)


@pytest.mark.parametrize(
    ("runs", "code", "said"),
    [
        ((done(GOOD), done(GOOD, column="6.2")), 0, "GOOD: 2 kernels, all cells proved"),
        ((done(GOOD), done(BAD, column="6.2")), 1, "BAD: 1 of 2 kernels is bad: 6.2"),
        ((done(BAD), done(BAD, column="6.2")), 1, "BAD: 2 of 2 kernels are bad: 6.1, 6.2"),
        ((done(GOOD), unbooted()), 125, "UNTESTABLE: 1 of 2 kernels cannot be tested: 6.2"),
        ((done(BAD), unbooted()), 1, "BAD: 1 of 2 kernels is bad: 6.1"),
        ((done(GOOD, column="6.2"), unbooted(backend="docker")), 125,
         "UNTESTABLE: 1 of 1 kernel cannot be tested: 6.2"),
        ((done(BAD, column="6.2"), unbooted(backend="docker")), 1,
         "BAD: 1 of 1 kernel is bad: 6.2"),
    ],
)  # fmt: skip
def test_the_whole_is_as_its_worst(runs: tuple[Rehearsed, ...], code: int, said: str) -> None:
    """Bad before untestable before good, over kernels as over the labs of one."""
    found = rehearsal(*runs)
    assert found.exit_code == code
    assert text(found).endswith(said)
    assert markdown(found).startswith(f"**{said}**")
    assert found.as_json()["exit"] == code


def test_a_run_that_was_ended_is_good_of_nothing() -> None:
    """What it got to may be bad; that all of it was proved says nothing of the rest."""
    late = replace(done(GOOD), said="it was not over after 9 s")
    assert judge(late) == Judgement(Word.UNTESTABLE, "it was not over after 9 s")
    assert judge(replace(late, document=done(BAD).document)).word is Word.BAD
    assert judge(replace(late, document=done(GOOD, events=["hang"]).document)).word is Word.BAD


def test_of_nothing_nothing_is_said() -> None:
    """No run is no good kernel."""
    assert worst(()) is Word.UNTESTABLE


def test_kinds_that_fare_alike_share_a_row() -> None:
    """A good run of the tutorial lab is a row for each stage and family."""
    found = entries(done(*tutorial()), done(*tutorial(), column="6.2"))
    assert found[:2] == [
        ("isolated same-vlan", "arp, l2-unicast, l2-broadcast, l2-multicast, icmp, tcp, udp",
         "32/32 | 32/32"),
        ("isolated cross-vlan-l2", "arp, l2-unicast, l2-broadcast, l2-multicast",
         "32/32 | 32/32"),
    ]  # fmt: skip
    assert len(found) == 15


def test_a_kind_that_fails_has_a_row_of_its_own() -> None:
    """Broadcasts that a kernel loses are not hidden among what it delivers."""
    lost = [
        failed(one.cell) if _is_lost(one) else one
        for one in tutorial()
        if one.cell.stage is Stage.ROUTED and one.cell.family is Family.SAME_VLAN
    ]
    good = [passed(one.cell) for one in lost]
    assert entries(done(*good), done(*lost, column="6.2")) == [
        ("routed same-vlan", "arp, l2-unicast, l2-multicast, icmp, tcp, udp", "28/28 | 28/28"),
        ("routed same-vlan", "l2-broadcast", "4/4 | !FAIL 2/4 silent"),
    ]


def _is_lost(one: Verdict) -> bool:
    return one.cell.probe.kind == "l2-broadcast" and one.cell.dst in ("bbox3", "bbox4")


PAIR = (cell("bbox1", "bbox3"), cell("bbox3", "bbox1"))


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((GOOD,), (GOOD,), "1/1 | 1/1"),
        ((GOOD,), (BAD,), "1/1 | !FAIL 1/1 silent"),
        ((BAD,), (GOOD,), "FAIL 1/1 silent | +1/1"),
        ((GOOD,), (OPEN,), "1/1 | !?? 1/1"),
        ((OPEN,), (BAD,), "?? 1/1 | !FAIL 1/1 silent"),
        ((BAD,), (DROP,), "FAIL 1/1 silent | ~FAIL 1/1 raw-drop"),
        ((GOOD,), tuple(map(passed, PAIR)), "1/1 | ~2/2"),
        ((failed(PAIR[0]), unproved(PAIR[1])), tuple(map(passed, PAIR)),
         "FAIL 1/2 silent, ?? 1/2 | +2/2"),
        ((failed(PAIR[0]), passed(PAIR[1])), (passed(PAIR[0]), failed(PAIR[1])),
         "FAIL 1/2 silent | ~FAIL 1/2 silent"),
        ((failed(PAIR[0]), unproved(PAIR[1])), (unproved(PAIR[0]), failed(PAIR[1])),
         "FAIL 1/2 silent, ?? 1/2 | ~FAIL 1/2 silent, ?? 1/2"),
    ],
)  # fmt: skip
def test_what_differs_from_the_first_is_marked(
    first: tuple[Verdict, ...], second: tuple[Verdict, ...], wanted: str
) -> None:
    """By a sign, which needs no colour: worse, better, otherwise."""
    found = entries(done(*first), done(*second, column="6.2"))
    assert [line for *_, line in found] == [wanted]


def test_a_kernel_without_a_report_has_a_column() -> None:
    """With nothing in it, which is another thing than nothing wrong."""
    assert [line for *_, line in entries(done(GOOD), unbooted())] == ["1/1 | ."]
    shown = text(rehearsal(done(GOOD), unbooted()))
    assert "UNTESTABLE 6.2, tutorial on netns: it does not boot\n" in shown
    assert "  .         not judged" in shown
    assert not rehearsal(unbooted(), done(GOOD)).differences


def test_kinds_that_all_fail_for_one_reason_share_a_row() -> None:
    """A kernel that can nothing is told in a few lines."""
    kinds = [cell("bbox1", "bbox3", kind) for kind in ("icmp", "tcp")]
    assert entries(done(*map(failed, kinds)))[0][1:] == ("icmp, tcp", "FAIL 2/2 silent")
    assert entries(done(*map(unproved, kinds)))[0][1:] == ("icmp, tcp", "?? 2/2")
    assert Entry(1, 2, 1, ("a", "b", "c")).state == "FAIL 2/4 a, b, ?? 1/4"
    assert str(Entry(1, 2, 1, ("a", "b", "c"))) == "FAIL 2/4 a, b, ?? 1/4"


def test_the_table_as_people_see_it() -> None:
    """Stages that read the same share a line; below is why, where reports are, and what else."""
    bad = [replace(one, ruling=Ruling.FAIL) if _is_lost(one) else one for one in tutorial()]
    first, second = done(*tutorial()), done(*bad, column="6.2", events=["warning"])
    lines = text(rehearsal(first, second)).splitlines()
    assert lines[0].split() == ["stage", "family", "probes", "6.1", "6.2"]
    assert lines[2] == "tutorial on netns"
    said = "\n".join(" ".join(line.split()) for line in lines)
    assert "isolated, routed, undone cross-vlan-l3 all 24/24 24/24" in said
    assert "kernel 6.1.0 6.2.0\njudged GOOD BAD" in said
    assert "! worse than in the first column" in said
    assert "GOOD 6.1, tutorial on netns: all 297 cells proved (reports/6.1)" in said
    assert "BAD 6.2, tutorial on netns: warning: a warning; " in said
    assert "since 6.1: 6.2, tutorial on netns: kernel 6.1.0 -> 6.2.0: 6 regressions" in said


def test_a_table_is_safe_in_markdown() -> None:
    """What a kernel prints comes from outside."""
    odd = done(GOOD, column="6|<b>\n", events=["warning"])
    shown = markdown(rehearsal(odd))
    assert "| stage | family | probes | 6\\|&lt;b>\\n |\n|---|---|---|---|" in shown
    assert "- BAD 6\\|&lt;b>\\n, tutorial on netns: warning: a warning" in shown


def test_for_programs() -> None:
    """Runs with their folders and events, rows with their counts and signs."""
    found = rehearsal(done(GOOD), done(BAD, column="6.2", events=["taint"])).as_json()
    assert found["columns"] == [
        {"column": "6.1", "judgement": "good"}, {"column": "6.2", "judgement": "bad"},
    ]  # fmt: skip
    assert found["rows"][0]["entries"][1] == {
        "proved": 0, "failed": 1, "unproved": 0, "causes": ("silent",),
        "others": (f"fail {BAD.cell.id}",),
    }  # fmt: skip
    assert found["rows"][0]["signs"] == ["", "!"]
    assert [(one["release"], one["folder"]) for one in found["runs"]] == [
        ("6.1.0", "reports/6.1"), ("6.2.0", "reports/6.2"),
    ]  # fmt: skip
    assert found["runs"][1]["events"][0]["kind"] == "taint"


def test_runs_that_have_nothing_in_common_are_not_compared() -> None:
    """Another stage only: the table says all there is."""
    other = passed(cell("bbox3", "bbox1"))
    assert rehearsal(done(GOOD), done(other, column="6.2")).differences == ()


@pytest.mark.parametrize(
    ("printed", "wanted"),
    [
        ("x\n!!! _pytest.outcomes.Exit: harness: no 8021q in it; take another !!!\n1 warning\n",
         "no 8021q in it; take another"),
        ("ERROR: no such file: a.yaml\n\n", "no such file: a.yaml"),
        ("harness: the run folder cannot be written: full\n",
         "the run folder cannot be written: full"),
        ("tests of harness: fine\n\nlast\n", "last"),
        ("", "it ended without a word"),
    ],
)  # fmt: skip
def test_the_sentence_of_a_run_without_a_report(printed: str, wanted: str) -> None:
    """The harness's own, pytest's, or the last line."""
    assert sentence(printed) == wanted


@pytest.mark.parametrize(
    ("printed", "wanted"),
    [
        ("E\n  BuildError: host1# dockerd: no overlay; modprobe overlay\nWorkerLost: gone\n",
         "BuildError: host1# dockerd: no overlay; modprobe overlay"),
        ("ValueError: BuildError: of somebody else\nBuildError\n", ""),
    ],
)  # fmt: skip
def test_why_a_lab_was_asked_nothing(printed: str, wanted: str) -> None:
    """The first of the harness's own errors."""
    assert broken(printed) == wanted


def test_the_folder_of_a_run_is_what_it_says_last() -> None:
    """A run prints it on a line of its own."""
    assert folder_of("page: a/report.html\nreport: a\n\n3 passed\n") == "a"
    assert folder_of("no report\n") == ""


def test_each_lab_has_its_own_rows() -> None:
    """Below its name, closed by the kernel that carried it and what is said of it."""
    labs = (done(GOOD), done(BAD, backend="docker"))
    lines = [" ".join(line.split()) for line in text(rehearsal(*labs)).splitlines()]
    assert lines[2:10] == [
        "tutorial on netns",
        "isolated same-vlan all 1/1",
        "kernel 6.1.0",
        "judged GOOD",
        "tutorial on docker",
        "isolated same-vlan all FAIL 1/1 silent",
        "kernel 6.1.0",
        "judged BAD",
    ]
