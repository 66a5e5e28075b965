"""A run's folder holds what it says: whole, to its schema, and two other readers agree with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from harness.errors import RunFolderError
from harness.judge import rejudge
from harness.report.document import schema
from tests.lab import independent

ROOT = Path(__file__).parents[2]
STAGES = ("isolated", "routed", "undone")
OF_EVERY_NODE = ("links", "addresses", "routes", "sysctls", "firewall")
BEFORE_AND_AFTER = ("links", "firewall", "conntrack")
"""Readings of every host that a sweep makes count."""


@dataclass(frozen=True)
class Run:
    """A run of the suites that is over."""

    code: int
    output: str
    reports: Path

    @property
    def folder(self) -> Path:
        """Its run folder."""
        return (self.reports / "latest").resolve()

    @property
    def document(self) -> dict[str, Any]:
        """Its report.json."""
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return found

    @property
    def topology(self) -> str:
        """The text of the topology that it was given."""
        return (ROOT / "topologies/macvlan-two-host.yaml").read_text()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of all suites on the default topology."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    reports = tmp_path_factory.mktemp("reports")
    argv = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*argv, "--lab-reports", str(reports)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return Run(done.returncode, done.stdout, reports)


@pytest.fixture
def copied(run: Run, tmp_path: Path) -> Path:
    """A copy of the run's folder, to be spoilt."""
    return Path(shutil.copytree(run.folder, tmp_path / "run"))


def test_exit(run: Run) -> None:
    """A run in which all is proved says so in its exit code and in report.json."""
    assert (run.code, run.document["run"]["exit"]) == (0, "pass"), run.output


def test_schema(run: Run) -> None:
    """report.json is valid by the schema that the package publishes."""
    jsonschema.Draft202012Validator(schema()).validate(run.document)


def test_every_ordered_pair(run: Run) -> None:
    """Every ordered pair of endpoints has cells in every stage, with every kind of probe."""
    names = independent.Model(run.topology).endpoints
    kinds = {"arp", "l2-unicast", "l2-broadcast", "l2-multicast", "icmp", "tcp", "udp"}
    wanted = {
        (stage, *pair, kind)
        for stage in STAGES
        for pair in permutations(names, 2)
        for kind in kinds
    }
    found = {(one["stage"], one["src"], one["dst"], one["probe"]) for one in run.document["cells"]}
    assert wanted <= found


def test_ids_and_tokens(run: Run) -> None:
    """Each cell has an id that says what it is, and a token that no other cell has."""
    cells = run.document["cells"]
    ids = [f"{one['stage']}-{one['src']}-to-{one['dst']}-{one['probe']}" for one in cells]
    assert [one["id"] for one in cells] == ids
    assert len(set(ids)) == len({one["token"] for one in cells}) == len(cells)


def test_not_repeated(run: Run) -> None:
    """Each probe was sent once."""
    assert {one["attempts"] for one in run.document["cells"]} == {1}


def test_independent_reader(run: Run) -> None:
    """A reader that shares no code with the harness comes to the same result for every cell."""
    assert independent.disagreements(run.folder, run.topology) == []


def test_rejudged(run: Run) -> None:
    """The folder alone gives every verdict again."""
    again = rejudge(run.folder)
    assert (again.agree, again.differences) == (True, ())
    assert again.cells == len(run.document["cells"])


# --- a folder that was tampered with --------------------------------------------------------------


def _cell(folder: Path, cell_id: str) -> dict[str, Any]:
    cells = json.loads((folder / "report.json").read_text())["cells"]
    return next(one for one in cells if one["id"] == cell_id)


def _rewrite(
    folder: Path,
    cell_id: str,
    change: Callable[[bytes, list[bytes], list[independent.Frame]], None],
) -> None:
    """Change a capture's blocks; `change` gets the file, its blocks and the cell's own frames."""
    cell = _cell(folder, cell_id)
    path = folder / "captures" / f"{cell['stage']}.pcapng"
    octets, token = path.read_bytes(), bytes.fromhex(cell["token"])
    parts = independent.blocks(octets)
    change(octets, parts, [one for one in independent.frames(octets) if token in one.raw])
    path.write_bytes(independent.joined(parts))


def _without(folder: Path, cell_id: str, spot: independent.Spot) -> None:
    """Take the cell's frames at a spot out of the capture."""

    def change(_: bytes, parts: list[bytes], mine: list[independent.Frame]) -> None:
        numbers = [one.block for one in mine if one.spot == spot]
        assert numbers
        for number in reversed(numbers):
            del parts[number]

    _rewrite(folder, cell_id, change)


def _also(folder: Path, cell_id: str, seen: independent.Spot, spot: independent.Spot) -> None:
    """Let the frame that was seen at one spot have been seen at another, too."""

    def change(octets: bytes, parts: list[bytes], mine: list[independent.Frame]) -> None:
        number = next(one.block for one in mine if one.spot == seen)
        parts.insert(number + 1, independent.moved(parts[number], octets, spot))

    _rewrite(folder, cell_id, change)


def _edited(folder: Path, cell_id: str, key: str, value: str) -> None:
    """Write something else into report.json."""
    document = json.loads((folder / "report.json").read_text())
    next(one for one in document["cells"] if one["id"] == cell_id)[key] = value
    (folder / "report.json").write_text(json.dumps(document))


def _of_one_stage(folder: Path, stage: str) -> None:
    """Leave one stage in a run folder: what is tampered with in it concerns no other."""
    path = folder / "report.json"
    document = json.loads(path.read_text())
    document["run"]["stages"] = [stage]
    document["cells"] = [one for one in document["cells"] if one["stage"] == stage]
    path.write_text(json.dumps(document))
    for capture in (folder / "captures").iterdir():
        if capture.stem != stage:
            capture.unlink()


TAMPERED: dict[str, tuple[str, Callable[..., None], tuple[Any, ...]]] = {
    "arrival-removed": (
        "routed-bbox1-to-bbox4-icmp",
        _without,
        (("bbox4", "eth0", "in"),),
    ),
    "reply-removed": (
        "isolated-bbox3-to-bbox1-udp",
        _without,
        (("bbox3", "eth0", "in"),),
    ),
    "departure-removed": (
        "undone-bbox2-to-bbox3-l2-unicast",
        _without,
        (("bbox2", "eth0", "out"),),
    ),
    "blocked-arrives": (
        "isolated-bbox1-to-bbox4-l2-unicast",
        _also,
        (("bbox1", "eth0", "out"), ("bbox4", "eth0", "in")),
    ),
    "leaks-into-other-vlan": (
        "routed-bbox1-to-bbox3-l2-broadcast",
        _also,
        (("bbox3", "eth0", "in"), ("bbox4", "eth0", "in")),
    ),
    "blocked-leaks-elsewhere": (
        "undone-bbox1-to-bbox4-arp",
        _also,
        (("bbox1", "eth0", "out"), ("host2", "eth2.20", "in")),
    ),
    "verdict-edited": ("routed-bbox4-to-bbox1-tcp", _edited, ("verdict", "fail")),
    "outcome-edited": ("isolated-bbox1-to-bbox2-icmp", _edited, ("observed", "silent")),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered(copied: Path, run: Run, name: str) -> None:
    """Both other readers name the cell that was tampered with, and none without a part in it."""
    cell_id, tamper, arguments = TAMPERED[name]
    cells = run.document["cells"]
    vouched_for = {one["id"] for one in cells if one["proof"]["control"] == cell_id}
    _of_one_stage(copied, cell_id.partition("-")[0])
    tamper(copied, cell_id, *arguments)
    again = {one.partition(": ")[0] for one in rejudge(copied).differences}
    found = {one.partition(": ")[0] for one in independent.disagreements(copied, run.topology)}
    assert {cell_id} <= again <= {cell_id} | vouched_for
    assert {cell_id} <= found <= {cell_id} | vouched_for


def test_capture_missing(copied: Path) -> None:
    """A folder without one of its captures cannot be judged, and the error names the file."""
    (copied / "captures/routed.pcapng").unlink()
    with pytest.raises(RunFolderError, match=r"captures/routed\.pcapng"):
        rejudge(copied)


def test_capture_cut(copied: Path) -> None:
    """A capture that was cut off is told from one in which nothing was seen."""
    path = copied / "captures/isolated.pcapng"
    parts = independent.blocks(path.read_bytes())
    path.write_bytes(b"".join(parts[: len(parts) // 2]))
    with pytest.raises(RunFolderError, match="cut"):
        rejudge(copied)


# --- the folder -----------------------------------------------------------------------------------


def test_folder_is_whole(run: Run) -> None:
    """One run folder, with every file that a reader is promised, and `latest` points to it."""
    names = {path.name for path in run.reports.iterdir()}
    assert names == {"latest", run.folder.name}
    assert (run.reports / "latest").is_symlink()
    there = {path.name for path in run.folder.iterdir()}
    assert {"report.json", "report.md", "report.html", "junit.xml", "evidence", "captures"} <= there


def test_every_link_of_the_page_leads_to_a_file(run: Run) -> None:
    """What the page names beside it is beside it, under that name, and the page is small."""
    page = (run.folder / "report.html").read_bytes()
    found = {unquote(href) for href in re.findall(r'href="([^#"]+)"', page.decode())}
    assert len(found) > len(run.document["evidence"]) / 2
    assert {href for href in found if not (run.folder / href).exists()} == set()
    assert len(page) < 2_000_000


def test_one_capture_a_stage(run: Run) -> None:
    """Each stage has its capture."""
    found = {path.name for path in (run.folder / "captures").iterdir()}
    assert found == {f"{stage}.pcapng" for stage in STAGES}


def test_junit(run: Run) -> None:
    """junit.xml has a test case for each test, without a failure, and one for each cell."""
    root = ET.parse(run.folder / "junit.xml").getroot()  # noqa: S314 - our own file
    suites = list(root.iter("testsuite"))
    assert [(one.get("failures"), one.get("errors")) for one in suites] == [("0", "0")]
    names = [one.get("name") or "" for one in root.iter("testcase")]
    assert suites[0].get("tests") == str(len(names))
    cells = [one["id"] for one in run.document["cells"]]
    assert not [cell for cell in cells if not any(f"[{cell}]" in name for name in names)]


def test_no_leftovers(run: Run) -> None:
    """The run found nothing of itself left on the machine."""
    assert run.document["leftovers"] == []


# --- evidence -------------------------------------------------------------------------------------


def test_readings_of_every_node(run: Run) -> None:
    """Every node has links, addresses, routes, sysctls and firewall from before each sweep."""
    model = independent.Model(run.topology)
    nodes = [*model.endpoints, *model.file["hosts"], "switch"]
    wanted = {
        f"{s}/{node}/{kind}/before" for s in STAGES for node in nodes for kind in OF_EVERY_NODE
    }
    wanted |= {f"{stage}/{node}/neighbours/main" for stage in STAGES for node in nodes}
    assert wanted <= run.document["evidence"].keys()


def test_readings_before_and_after(run: Run) -> None:
    """What a sweep makes count is read of every host before it and after it."""
    hosts = independent.Model(run.topology).file["hosts"]
    wanted = {
        f"{stage}/{host}/{kind}/{when}"
        for stage in STAGES
        for host in hosts
        for kind in BEFORE_AND_AFTER
        for when in ("before", "after")
    }
    assert wanted <= run.document["evidence"].keys()


def test_raw_and_parsed(run: Run) -> None:
    """Every reading is there parsed, and raw in a file of its own; a node's routes share one."""
    evidence = run.document["evidence"]
    files = [entry["raw_file"] for entry in evidence.values()]
    own = [entry["raw_file"] for entry in evidence.values() if entry["kind"] != "route-get"]
    assert len(set(own)) == len(own)
    shared = {(one["stage"], one["node"]): one["raw_file"] for one in evidence.values()
              if one["kind"] == "route-get"}  # fmt: skip
    assert len(set(shared.values()) - set(own)) == len(shared)
    assert not [name for name in files if not (run.folder / name).is_file()]
    assert not [name for name, entry in evidence.items() if entry["parsed"] is None]


def test_every_link_is_there(run: Run) -> None:
    """A cell's evidence is in the report, and every cell has some."""
    cells, evidence = run.document["cells"], run.document["evidence"]
    assert not [one["id"] for one in cells if not one["evidence"]]
    assert {name for one in cells for name in one["evidence"]} <= evidence.keys()


def _reading(run: Run, name: str) -> tuple[Any, str]:
    entry = run.document["evidence"][name]
    return entry["parsed"], (run.folder / entry["raw_file"]).read_text()


def test_firewall_counts(run: Run) -> None:
    """The gateway's rules are there, raw too, and the sweep made their counters grow."""
    before, _ = _reading(run, "routed/gateway/firewall/before")
    after, raw = _reading(run, "routed/gateway/firewall/after")
    packets = [
        {line["rule"]: line["packets"] for line in lines if line.get("rule", "").startswith("-A")}
        for lines in (before, after)
    ]
    assert packets[0].keys() == packets[1].keys()
    assert all(rule in raw for rule in packets[1])
    assert all(packets[1][rule] > packets[0][rule] for rule in packets[1])


def test_routes(run: Run) -> None:
    """An endpoint's default route is its VLAN's gateway."""
    parsed, raw = _reading(run, "isolated/bbox1/routes/before")
    vias = [entry["via"] for entry in parsed if entry["dst"] == "default"]
    assert (vias, "172.16.10.1" in raw) == (["172.16.10.1"], True)


def test_neighbours(run: Run) -> None:
    """Whoever had no gateway has an entry for it that nobody answered."""
    parsed, raw = _reading(run, "isolated/bbox1/neighbours/main")
    states = {entry["address"]: entry["state"] for entry in parsed}
    assert states["172.16.10.1"] in ("INCOMPLETE", "FAILED")
    assert "172.16.10.1" in raw


def test_links(run: Run) -> None:
    """The gateway's sub-interfaces are there in the stage routed, and only then."""
    names = {
        stage: {link["name"] for link in _reading(run, f"{stage}/gateway/links/before")[0]}
        for stage in STAGES
    }
    has = {stage: {"eth2.10", "eth2.20"} <= found for stage, found in names.items()}
    assert has == {"isolated": False, "routed": True, "undone": False}


def test_sysctls(run: Run) -> None:
    """The gateway forwards in the stage routed, and only then."""
    key = "net.ipv4.ip_forward"
    found = {stage: _reading(run, f"{stage}/gateway/sysctls/before") for stage in STAGES}
    values = {stage: parsed[key] for stage, (parsed, _) in found.items()}
    assert values == {"isolated": "0", "routed": "1", "undone": "0"}
    assert f"{key} = 1\n" in found["routed"][1]


def test_conntrack(run: Run) -> None:
    """A flow across VLANs is tracked with the source that MASQUERADE gave it."""
    parsed, raw = _reading(run, "routed/gateway/conntrack/after")
    found = {
        flow["reply"]["dst"]
        for flow in parsed
        if (flow["original"]["src"], flow["original"]["dst"]) == ("172.16.10.10", "172.16.20.11")
    }
    assert (found, len(raw.splitlines())) == ({"172.16.20.1"}, len(parsed))


@pytest.mark.parametrize("word", ["icmp 1 ", "udp 17 ", "tcp 6 "])
def test_conntrack_raw(run: Run, word: str) -> None:
    """A line says what conntrack(8) would: both tuples, of TCP the state too."""
    _, raw = _reading(run, "routed/gateway/conntrack/after")
    ends = " src=172.16.10.10 dst=172.16.20.11 "
    (line, *_) = [line for line in raw.splitlines() if line.startswith(word) and ends in line]
    ports = r"type=8 code=0 " if word == "icmp 1 " else r""
    state = r"[A-Z_]+ " if word == "tcp 6 " else ""
    first = rf"{ends[1:]}[a-z]+=\d+ (dport=7 )?{ports}"
    assert re.fullmatch(
        rf"{word}\d+ {state}{first}(\[UNREPLIED\] )?src=172.16.20.11 dst=172.16.20.1 .*", line
    )
