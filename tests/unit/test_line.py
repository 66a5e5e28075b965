"""A run in one line: its first fault in words, the rest counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.causes import Code, Diagnosis
from harness.cli import cli
from harness.report import folder
from harness.report.document import document
from harness.report.line import line
from tests.unit.builders import cell, failed, passed, report

GOOD = report(passed(cell("bbox1", "bbox3")), passed(cell("bbox3", "bbox1")))
WRONG = report(failed(cell("bbox1", "bbox4")), passed(cell("bbox1", "bbox3")))
FAULT = Diagnosis(
    Code.FORWARD_POLICY_DROP, "gateway", "FORWARD", "the policy of FORWARD is DROP\n",
    "iptables -P FORWARD ACCEPT", ("isolated-bbox1-to-bbox4-icmp",),
)  # fmt: skip


def told(of: Any = WRONG, **changes: Any) -> str:
    """The line of a report with parts of it replaced."""
    return line(document(of) | changes)


def diagnoses(*found: Diagnosis) -> list[dict[str, Any]]:
    """As report.json has them."""
    return [{"code": str(one.code), "node": one.node, "message": one.message, "fix": one.fix}
            for one in found]  # fmt: skip


def test_a_good_run() -> None:
    """What was tested, where, and that all of it is proved."""
    assert told(GOOD) == (
        "PASS macvlan-two-host on netns, kernel 6.18.0: all 2 cells proved (5f3a, 12.3 s)"
    )


def test_a_wrong_network_has_its_cause_and_what_mends_it() -> None:
    """In the first fault's words, in one line; others are counted."""
    found = diagnoses(FAULT, FAULT)
    assert told(diagnoses=found[:1]) == (
        "FAIL macvlan-two-host on netns, kernel 6.18.0: 1 failed of 2 cells; "
        "forward-policy-drop: the policy of FORWARD is DROP\\n; "
        "mend it on gateway: iptables -P FORWARD ACCEPT (5f3a, 12.3 s)"
    )
    assert "; and 1 other fault (5f3a" in told(diagnoses=found)
    bare = [found[0] | {"node": None}]
    assert "; mend it: iptables -P" in told(diagnoses=bare)
    assert "mend it" not in told(diagnoses=[found[0] | {"fix": ""}])


def test_what_could_not_be_told_is_no_pass() -> None:
    """Nor is a test beside the cells, or what was left over."""
    run = document(GOOD)["run"]
    cells = [one | {"verdict": "unproved"} for one in document(GOOD)["cells"]]
    assert told(GOOD, run=run | {"exit": "error"}, cells=cells).startswith(
        "UNPROVED macvlan-two-host on netns, kernel 6.18.0: 2 unproved of 2 cells ("
    )
    assert ": a test beside the cells failed (" in told(GOOD, run=run | {"exit": "fail"})
    assert ": a part of it could not be done (" in told(GOOD, run=run | {"exit": "error"})
    assert "; 1 thing left over (" in told(GOOD, leftovers=["links: eth2.10"])


@pytest.mark.parametrize(("of", "code"), [(GOOD, 0), (WRONG, 1)])
def test_show_prints_it(tmp_path: Path, of: Any, code: int) -> None:
    """With the exit code of the run; --json is another form."""
    made = folder.write(of, {}, {}, tmp_path)
    done = CliRunner().invoke(cli, ["show", str(made), "--line"])
    assert (done.exit_code, done.output) == (code, f"{line(document(of))}\n")
    assert CliRunner().invoke(cli, ["show", str(made), "--line", "--json"]).exit_code == 2
