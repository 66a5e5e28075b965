"""The page: what it says of a run, that outside strings are text in it, and that it stays small."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from harness import topology
from harness.flow import Stage
from harness.report.html import cells, overview, readings
from harness.report.html.drawing import MAX_ENDPOINTS, draw
from harness.report.html.render import html, policy, visible
from harness.report.html.states import State, notes, states
from harness.report.model import RunReport
from harness.topology.generate import generate
from tests.unit import pages
from tests.unit.builders import cell, failed, passed, reading, report, unproved
from tests.unit.labs import FILE, NO_GATEWAY, ONE_VLAN, TUTORIAL, shipped
from tests.unit.pages import BAD, EVIDENCE, LOST, bad, good, hostile

VOID = {"meta", "br", "rect", "path"}
GOOD = good()


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, its text, what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element; all but the void ones are open now."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that closes itself."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be this one."""
        while self.open and self.open[-1] in OPTIONAL and self.open[-1] != tag:
            self.open.pop()
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text.append(data)

    @property
    def words(self) -> str:
        """All text, with single spaces."""
        return " ".join(" ".join(self.text).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


OPTIONAL = {"td", "tr"}
"""Elements that the page leaves open, as HTML lets it."""


@pytest.fixture(scope="module")
def passing() -> Page:
    """The page of a good run of the tutorial lab."""
    return Page(html(GOOD, TUTORIAL))


@pytest.fixture(scope="module")
def failing() -> Page:
    """The page of a run in which a ping was dropped, and a probe was never sent."""
    return Page(html(bad(), TUTORIAL))


@pytest.fixture(scope="module")
def attacked() -> Page:
    """The page of a run in which all outside strings mean harm."""
    return Page(html(*hostile()))


def test_a_good_run_is_told_in_a_sentence() -> None:
    """Who knows nothing of cells learns what holds: separation, the way, translation."""
    assert overview.sentence(GOOD, TUTORIAL) == (
        f"All {len(GOOD.verdicts)} cells proved. VLAN 10 and VLAN 20 are separate at layer 2. "
        "Routed traffic goes through gateway, which puts its own address in the place of the "
        "source's. In the stages isolated and undone nothing gets from one VLAN into another."
    )


@pytest.mark.parametrize(
    ("lab", "said"),
    [
        (NO_GATEWAY, "In the stage isolated nothing gets from one VLAN into another."),
        (ONE_VLAN, "cells proved."),
        (shipped("dual-stack"), "Routed traffic goes through gateway, which puts its own"),
        (shipped("external-router"), "Routed traffic goes through"),
    ],
)
def test_the_sentence_says_what_the_cells_show(lab: topology.Topology, said: str) -> None:
    """Nothing is said of gateways or VLANs that a lab does not have."""
    assert said in overview.sentence(good(lab), lab)


def test_a_run_that_went_wrong_is_told_by_its_counts() -> None:
    """What failed and what could not be told are different sentences."""
    lost, untold = failed(cell("bbox1", "bbox3")), unproved(cell("bbox1", "bbox3"))
    assert overview.sentence(report(lost), TUTORIAL).startswith(
        "The network does not do what the topology says. 1 cell: 0 proved, 1 failed"
    )
    assert overview.sentence(replace(report(untold), errors=2), TUTORIAL) == (
        "It could not be told whether the network is right. "
        "1 cell: 0 proved, 0 failed, 1 unproved; 2 tests could not be carried out."
    )


def test_many_vlans_are_counted() -> None:
    """A sentence does not list twenty names."""
    lab = topology.parse(generate("vlans=20,hosts=2,endpoints=20"), "large.yaml")
    assert overview.vlans(lab) == "The 20 VLANs"
    assert overview.vlans(shipped("three-vlans")) == "VLAN 10, VLAN 20 and VLAN 30"


def test_a_page_is_whole(passing: Page, failing: Page, attacked: Page) -> None:
    """Every element is closed in its order, and no id is there twice."""
    for page in (passing, failing, attacked):
        assert page.open == []
        ids = Counter(each["id"] for _, each in page.elements if "id" in each)
        assert max(ids.values()) == 1


def test_every_link_within_the_page_leads_somewhere(
    passing: Page, failing: Page, attacked: Page
) -> None:
    """A field of a matrix leads to its cells, a cell to its evidence, labels to what they name."""
    for page in (passing, failing, attacked):
        ids = {each["id"] for _, each in page.elements if "id" in each}
        hrefs = [str(each["href"]) for each in page.all("a")]
        named = [str(each["aria-labelledby"]) for _, each in page.elements
                 if "aria-labelledby" in each]  # fmt: skip
        assert {href[1:] for href in hrefs if href.startswith("#")} <= ids
        assert {name for names in named for name in names.split()} <= ids


def test_every_cell_can_be_linked_to(passing: Page) -> None:
    """A cell's id is an id on the page: `report.html#routed-bbox1-to-bbox4-icmp` leads to it."""
    ids = {each["id"] for each in passing.all("tr") if "id" in each}
    assert ids == {one.cell.id for one in GOOD.verdicts}


def test_a_good_run_is_folded(passing: Page) -> None:
    """Nothing is open where there is nothing to look at."""
    assert not any("open" in each for each in passing.all("details"))


def test_what_did_not_pass_is_open_and_comes_first(failing: Page) -> None:
    """And nothing else is open."""
    found = [each for each in failing.all("details") if "pair" in str(each.get("class"))]
    kinds = ["open" in each for each in found]
    assert [("open" in each) for each in found] == [each["class"] != "pair pass" for each in found]
    of_routed = kinds[kinds.index(True) :]
    assert of_routed == sorted(of_routed, reverse=True)


def test_a_fault_is_on_top_with_its_fix(failing: Page) -> None:
    """Code, message, where, and the command."""
    said = "forward-policy-drop : FORWARD drops it (1 cell) Fix on gateway: iptables -P FORWARD"
    assert said in failing.words
    assert failing.words.index(said) < failing.words.index("The lab")


def test_a_fault_that_is_of_no_node_and_has_no_fix_says_so() -> None:
    """Neither is made up."""
    anywhere = replace(pages.FAULT, node=None)
    text = html(replace(bad(), diagnoses=(anywhere, replace(anywhere, fix=""))), TUTORIAL)
    assert text.count("Fix") == 1
    assert "Fix : <code>iptables" in text


def test_a_failing_cell_says_all_of_itself(failing: Page) -> None:
    """Expected, observed, cause, proof, steps, where it was lost, and its evidence."""
    for said in (
        "Expected reached : gateway routes VLAN 10 to VLAN 20",
        "Observed silent : it left, and nothing came back.",
        "Cause forward-policy-drop at gateway: the policy is DROP",
        "✗ no arrived : not seen arriving at bbox4",
        "✓ yes left : seen leaving bbox1",
        "Lost before gateway:eth2.20 (out).",
        "Evidence: routed/gateway/firewall/after , not/in/it",
        "✗ no router : gateway took it from eth2.10: True",
    ):
        assert said in failing.words


def test_a_routed_path_marks_what_changed() -> None:
    """Tag, MACs and addresses where the frame changes, and only there."""
    one = next(one for one in GOOD.verdicts if one.cell.id == LOST)
    rows = [row.values for row in cells.rows(one.observation.path)]
    changed = {
        (values[0][0], cells.HOP_HEADER[column + 1])
        for values in rows
        for column, (_, marked) in enumerate(values)
        if marked
    }
    assert ("host1:eth2 (out)", "tag") in changed
    assert {("gateway:eth2.20 (out)", name) for name in ("from MAC", "to MAC", "from", "TTL")} <= (
        changed
    )
    assert not any(place == "switch:gateway (out)" for place, _ in changed)
    assert rows[0][1] == ("-", False)


def test_cells_that_fared_alike_are_told_once() -> None:
    """icmp, tcp and udp of a pair share a path; a ping that is too large has a block of its own."""
    found = {pair.key: pair for pair in cells.pairs(GOOD, TUTORIAL)}
    pair = found["routed", "bbox1", "bbox4", 3]
    assert ["icmp", "tcp", "udp"] in [
        [one.probe for one in block.asked if ":" not in one.probe] for block in pair.blocks
    ]
    assert len(pair.blocks) < pair.cells


def test_strays_and_paths_that_nobody_saw_are_told() -> None:
    """A token where it must not be is named with its tag; no path is said to be none."""
    lost = failed(
        cell("bbox1", "bbox3"), path=(), strays=(pages.swept(TUTORIAL)[0].observation.path[0],)
    )
    text = html(report(replace(lost, token="")), TUTORIAL)
    assert "No tap saw it." in text
    assert "Also seen at bbox1:eth0 (out), untagged." in text
    tagged = replace(lost.observation.strays[0], vlan=20)
    other = replace(lost, observation=replace(lost.observation, strays=(tagged,), lost_at=None))
    assert "Also seen at bbox1:eth0 (out), VLAN 20." in html(report(other), TUTORIAL)


def test_large_labs_tell_only_what_did_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says how many cells it leaves out, and where they are."""
    monkeypatch.setattr(cells, "MAX_CELLS", 1)
    monkeypatch.setattr(readings, "MAX_READINGS", 1)
    monkeypatch.setattr(overview, "MAX_NODES", 3)
    found = bad()
    page = Page(html(found, TUTORIAL))
    assert f"{len(found.verdicts) - 1} cells are not told here" in page.words
    assert "Evidence: routed/gateway/firewall/after" in page.words
    assert sum("id" in each for each in page.all("li")) == 1
    assert "stage family cells arrive blocked FAIL ??" in page.words


def test_a_run_without_anything_is_a_page() -> None:
    """A lab that could not be built: no cell, no reading, its errors counted."""
    page = Page(html(replace(report(), errors=1), TUTORIAL))
    assert "? UNPROVED It could not be told whether the network is right. 0 cells" in page.words
    assert "No cell was judged." in page.words
    assert "Nothing was read." in page.words


def test_what_is_left_behind_is_told(failing: Page, passing: Page) -> None:
    """And that nothing is, where nothing is."""
    assert "Left behind cgroup x" in failing.words
    assert "Nothing was left behind." in passing.words


def test_nodes_have_the_state_of_their_cells() -> None:
    """The worst of a node's cells is its state, in a sign and in words."""
    found = states(bad())
    assert (found["bbox1"].kind, found["bbox3"].kind, found["host1"].kind) == (
        "fail",
        "unproved",
        "pass",
    )
    assert str(State(proved=2, failed=1, unproved=1)) == "✗ 2/4"
    assert State(2, 1, 1).words == "2 of 4 cells proved, 1 failed, 1 unproved"
    assert (str(State()), State().words) == ("-", "no cell")


def test_the_drawing_shows_where_and_why() -> None:
    """The cause at its node, and where the packet was last seen."""
    found = bad()
    told = notes(found)
    assert told["gateway"][:2] == ("✗ forward-policy-drop", "◎ 1 last seen at eth2.10 (in)")
    drawn = draw(TUTORIAL, states(found), told)
    box = next(box for box in drawn.boxes if box.name == "gateway")
    assert box.noted
    assert "gateway (host): " in " ".join(drawn.words)
    assert next(line.text for line in box.lines if line.kind == "note") == "✗ forward-policy-drop"


def test_notes_of_the_switch_are_on_the_trunk() -> None:
    """And no more of them than fit; the rest is counted."""
    drawn = draw(TUTORIAL, {}, {"switch": ("a", "b", "c", "d", "e")})
    assert [line.text for line in drawn.trunks[-1].lines if line.kind == "note"] == [
        "a",
        "b",
        "c",
        "and 2 more",
    ]


@pytest.mark.parametrize(
    "lab",
    [
        topology.parse(generate("vlans=20,hosts=9,endpoints=100"), "large.yaml"),
        *(shipped(path.stem) for path in FILE.parent.glob("*.yaml")),
        replace(TUTORIAL, name="real-switch", switched=False),
    ],
    ids=lambda lab: lab.name,
)
def test_nothing_is_drawn_over_anything(lab: topology.Topology) -> None:
    """Boxes and lines are beside or below each other, inside of the drawing, at any size."""
    drawn = draw(lab, {}, {})
    boxes = [*drawn.boxes, *drawn.trunks]
    assert [box.name for box in drawn.boxes] == [host.name for host in lab.hosts]
    for box in boxes:
        assert 0 <= box.x <= box.x + box.width <= drawn.width
        assert 0 <= box.y <= box.y + box.height <= drawn.height
        assert all(box.y < line.y < box.y + box.height for line in box.lines)
        assert len({(line.x, line.y) for line in box.lines}) == len(box.lines)
        assert all(box.x <= x <= box.x + box.width for x, _, _ in box.strands)
    for one in boxes:
        for other in boxes:
            apart = (
                one.x + one.width < other.x or other.x + other.width < one.x
                or one.y + one.height < other.y or other.y + other.height < one.y
            )  # fmt: skip
            assert one is other or apart


def test_many_endpoints_are_counted_by_vlan() -> None:
    """A host of fifty containers is a box that fits a screen."""
    lab = topology.parse(generate("vlans=2,hosts=2,endpoints=100"), "large.yaml")
    box = draw(lab, {}, {}).boxes[0]
    assert len([line for line in box.lines if line.kind == "node"]) == len(lab.vlans)
    assert len(box.lines) < MAX_ENDPOINTS * 3


def test_evidence_says_what_a_stage_changed() -> None:
    """Lines of only one side; comments with their dates are none."""
    found = readings.differences(list(EVIDENCE[:2]))
    assert [one.lines for one in found] == [
        (("-", "[0:0] -A FORWARD -j ACCEPT"), ("+", "[3:252] -A FORWARD -j ACCEPT"))
    ]
    only_dates = [EVIDENCE[0], replace(EVIDENCE[1], raw=EVIDENCE[0].raw.replace("head", "foot"))]
    assert readings.differences(only_dates) == ()


def test_many_changes_are_counted() -> None:
    """A table that grew by a hundred entries does not fill the page."""
    before = reading("routed/g/x/before", raw="")
    after = reading("routed/g/x/after", raw="\n".join(map(str, range(100))))
    (found,) = readings.differences([before, after])
    assert (len(found.lines), found.more) == (20, 80)


@pytest.mark.parametrize(
    ("parsed", "lines"),
    [
        ([{"name": "eth0", "mtu": 1500}, "lo"], ["name=eth0 mtu=1500", "lo"]),
        ({"via": "10.0.0.1"}, ["via=10.0.0.1"]),
    ],
)
def test_messages_of_the_kernel_are_shown_by_their_meaning(parsed: Any, lines: list[str]) -> None:
    """Nobody reads a netlink message of four thousand characters."""
    assert readings.lines(reading("x", parsed=parsed, raw="x" * 4000)) == lines


def test_equal_texts_are_there_once_and_long_ones_in_their_file() -> None:
    """A page does not repeat itself, nor grow without end."""
    every = tuple(reading(f"routed/gateway/x/{n}", raw="same\n") for n in range(3))
    long = reading("routed/gateway/x/long", raw="line\n" * 5000)
    (node,) = readings.by_node((*every, long), (*every, long))
    assert [text.names for text in node.kinds[0].texts] == [tuple(one.name for one in every)]
    assert node.count == "4 readings"


def test_no_more_text_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes later is in its file."""
    monkeypatch.setattr(readings, "MAX_ALL_FOLDED", 5)
    every = tuple(reading(f"routed/gateway/x/{n}", raw=f"{n}{n}{n}\n") for n in range(3))
    (node,) = readings.by_node(every, every)
    assert [text.text for text in node.kinds[0].texts] == ["000"]


def test_files_are_linked_by_names_that_a_browser_takes() -> None:
    """Of a name with `#` and `?` nothing is taken for something else."""
    every = (reading("routed/a b#?%/x"),)
    (node,) = readings.by_node(every, every)
    assert node.kinds[0].readings[0].href == "evidence/routed-a%20b%23%3F%25-x.txt"


def test_outside_strings_are_text(attacked: Page) -> None:
    """No element, attribute or link comes of one; each can be read as it is."""
    assert {tag for tag, _ in attacked.elements} <= {tag for tag, _ in _elements()}
    assert not any(name.startswith("on") for _, each in attacked.elements for name in each)
    hrefs = [str(each["href"]) for each in attacked.all("a")]
    assert all(re.match(r"#|evidence/|captures/$|report\.(json|md)$", href) for href in hrefs)
    text = "".join(attacked.text)
    for each in BAD:
        assert visible(each) in text


def _elements() -> list[tuple[str, dict[str, str | None]]]:
    return Page(html(bad(), TUTORIAL)).elements


def test_what_is_not_to_be_seen_is_seen(attacked: Page) -> None:
    """Control characters, turns of the writing direction and surrogates stand there as escapes."""
    text = html(*hostile())
    text.encode()
    assert all(one.isprintable() or one == "\n" for one in text)
    assert "\\u202ertl\\u2066 \\x00\\x1b[31m\\r\\ud800 \\u2028 \\ufeff" in "".join(attacked.text)


def test_no_style_but_the_pages_own(passing: Page) -> None:
    """The policy names one style sheet by its digest, and lets nothing else be."""
    metas = passing.all("meta")
    says = next(str(each["content"]) for each in metas if "http-equiv" in each)
    style = html(GOOD, TUTORIAL).partition("<style>")[2].partition("</style>")[0]
    assert says == policy(style)
    assert says.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in says
    assert not {"script", "link", "img", "iframe", "base", "form"} & {
        tag for tag, _ in passing.elements
    }
    assert not any("style" in each for _, each in passing.elements)


def test_the_page_is_small() -> None:
    """A mail takes it; the tutorial lab with all its cells is about a megabyte."""
    assert len(html(GOOD, TUTORIAL).encode()) < 2_000_000


def test_stages_keep_their_order(passing: Page) -> None:
    """As the run went through them."""
    found = re.findall(r"(isolated|routed|undone): layer 3", passing.words)
    assert found == [str(stage) for stage in Stage]


def test_a_page_is_made_of_its_values_alone() -> None:
    """The same run is the same page."""
    assert html(GOOD, TUTORIAL) == html(GOOD, TUTORIAL)


def test_a_cell_that_may_not_be_looked_up_has_no_steps() -> None:
    """A gateway's own address is no endpoint: the tutorial's steps are not asked of it."""
    one = passed(cell("bbox1", "gateway", stage=Stage.ROUTED, via=("gateway",)))
    found: RunReport = report(one)
    assert cells.pairs(found, TUTORIAL)[0].blocks[0].steps == ()
