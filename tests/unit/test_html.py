"""The page: what it says of a run, that outside strings are text in it, and that it stays small."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise

import pytest

from harness.flow import Stage
from harness.report.html import cells, hops, overview, readings, render, skeleton
from harness.report.html.changes import Changes, Row
from harness.report.html.cited import Citations
from harness.report.html.drawing import draw
from harness.report.html.render import html
from harness.report.html.skeleton import policy, visible
from harness.report.html.way import Ways
from harness.report.model import RunReport
from tests.unit import pages
from tests.unit.builders import cell, failed, passed, report
from tests.unit.labs import TUTORIAL
from tests.unit.pages import BAD, LOST, bad, good, hostile, run

VOID = {"meta", "br", "rect", "path", "use", "circle", "polyline", "input"}
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


def opened(found: RunReport) -> list[cells.Pair]:
    """Every pair of a run."""
    drawn = draw(TUTORIAL, {}, {})
    opening = cells.Opening(
        TUTORIAL, Ways(TUTORIAL, drawn), Citations(found.evidence), found.diagnoses, found.evidence
    )
    return list(cells.pairs(cells.by_pair(found.verdicts), opening))


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
        hrefs = [str(each["href"]) for tag in ("a", "use") for each in page.all(tag)]
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
    assert text.partition("<main>")[0].count("Fix") == 1
    assert "Fix : <code>iptables" in text


def test_a_failing_cell_says_all_of_itself(failing: Page) -> None:
    """Expected, observed, cause, proof, steps, where it was lost, and its evidence."""
    for said in (
        "Expected reached : gateway routes VLAN 10 to VLAN 20",
        "Observed silent : it left, and nothing came back.",
        "Cause forward-policy-drop at gateway: the policy of FORWARD is DROP",
        "Fix on gateway: iptables -P FORWARD ACCEPT",
        "Read in routed/gateway/firewall/after : [3:252] -A INPUT -j ACCEPT :FORWARD DROP [7:588]",
        "✗ no arrived : not seen arriving at bbox4",
        "✓ yes left : seen leaving bbox1",
        "Seen last at gateway:eth2.10 (in). Lost before gateway:eth2.20 (out).",
        "Evidence: routed/gateway/firewall/after , not/in/it",
        "1 ✓ yes route : bbox1 routes via 172.16.10.1 dev eth0, and sends to 02:6e:73:00:00:03",
        "2 ✗ no router : gateway took it from eth2.10, ",
    ):
        assert said in failing.words


def test_a_routed_path_marks_what_changed() -> None:
    """Tag, MACs and addresses where the frame changes, and only there."""
    one = next(one for one in GOOD.verdicts if one.cell.id == LOST)
    path = one.observation.path
    found = list(hops.rows(path, hops.steps(one.cell, path), one.observation.rtt_ms))
    rows = [row.values for row in found]
    changed = {
        (values[0][0], hops.HEADER[column + 1])
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
    assert {row.step: row.values[0][0] for row in found if row.step} == {
        1: "bbox1:eth0 (out)",
        2: "gateway:eth2.10 (in)",
        3: "gateway:eth2.20 (out)",
        4: "bbox4:eth0 (in)",
    }
    assert [row.change for row in found if row.change] == [
        "tag 10 on", "tag 10 off", "TTL 64 → 63, source NAT, new MACs", "tag 20 on", "tag 20 off",
    ]  # fmt: skip


def test_cells_that_fared_alike_are_told_once() -> None:
    """icmp, tcp and udp of a pair share a path; a ping that is too large has a block of its own."""
    found = {pair.key: pair for pair in opened(GOOD)}
    pair = found["routed", "bbox1", "bbox4", 3]
    assert ["icmp", "tcp", "udp"] in [
        [one.probe for one in block.asked if ":" not in one.probe] for block in pair.blocks
    ]
    assert len(pair.blocks) < pair.cells


def test_a_control_is_said_of_the_cell_that_it_vouches_for() -> None:
    """Cells told together have each a control of their own, which their verdicts name."""
    one = next(one for one in GOOD.verdicts if one.cell.id == "isolated-bbox1-to-bbox4-arp")
    other = replace(one, proof=replace(one.proof, control="another"))
    (alone,), (together,) = (opened(run(*found))[0].blocks for found in ((one,), (one, other)))
    said = [{name: text for name, _, text in block.proof}["control"] for block in (alone, together)]
    assert said[0] == f"{one.proof.control}, sent after it, arrived"
    assert said[1] == "sent after each, arrived: named with the verdict"


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
    monkeypatch.setattr(cells, "MAX_WRONG", 1)
    monkeypatch.setattr(readings, "MAX_READINGS", 1)
    monkeypatch.setattr(overview, "MAX_NODES", 3)
    found = bad()
    page = Page(html(found, TUTORIAL))
    assert f"{len(found.verdicts) - 1} cells are not told here" in page.words
    assert "Evidence: routed/gateway/firewall/after" in page.words
    assert sum("id" in each for each in page.all("li")) == 1
    assert f"{len(found.evidence) - 1} readings are not listed here" in page.words
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


def test_no_style_and_no_script_but_the_pages_own(passing: Page) -> None:
    """The policy names one style sheet and one script by digest, and lets nothing else be."""
    metas = passing.all("meta")
    says = next(str(each["content"]) for each in metas if "http-equiv" in each)
    text = html(GOOD, TUTORIAL)
    style, script = (
        text.partition(f"<{kind}>")[2].partition(f"</{kind}>")[0] for kind in ("style", "script")
    )
    assert says == policy(style, script)
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'; "
        r"base-uri 'none'; form-action 'none'",
        says,
    )
    assert "script-src" not in policy(style)
    assert len(passing.all("script")) == len(passing.all("style")) == 1
    assert "unsafe" not in says
    assert not {"link", "img", "iframe", "base", "form"} & {tag for tag, _ in passing.elements}
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
    assert opened(report(one))[0].blocks[0].steps == ()


def test_the_template_trusts_nothing() -> None:
    """No value is marked safe, and none stands in an attribute without quotes."""
    folder = resources.files("harness.report.html").iterdir()
    texts = [file.read_text("utf-8") for file in folder if file.name.endswith(".jinja")]
    assert len(texts) > 1
    assert not any(re.search(r"\|\s*safe|={{|autoescape", text) for text in texts)


def test_headings_and_landmarks(failing: Page) -> None:
    """One first heading, no level left out on the way down, and all that is told in landmarks."""
    levels = [int(tag[1]) for tag, _ in failing.elements if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert all(one <= before + 1 for before, one in pairwise(levels))
    assert {"header", "nav", "main"} <= {tag for tag, _ in failing.elements}
    assert all("scope" in each for each in failing.all("th"))


def test_what_changed_since_a_baseline() -> None:
    """On top in a sentence that leads to the table; without a baseline there is no word of it."""
    row = Row("fail", "regression", "routed icmp", "pass, reached", "fail, silent", ("a",))
    text = html(pages.good(), TUTORIAL, Changes("r1", "r2", "kernel 1 -> 2: 1 regression", (row,)))
    assert '<a href="#part-since">Since the baseline</a>: kernel 1 -&gt; 2: 1 regression' in text
    assert "The baseline is r1." in text
    assert '<td class="gone">pass, reached</td>' in text
    assert "baseline" not in html(pages.good(), TUTORIAL)


def test_what_is_compiled_ahead_is_what_a_page_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """No template is met first when a page is made, and none is compiled for nothing."""
    own = skeleton._environment.__wrapped__()
    monkeypatch.setattr(skeleton, "_environment", lambda: own)
    skeleton.compile_ahead(render.TEMPLATES)
    ahead = {name for _, name in own.cache or ()}
    html(bad(), TUTORIAL)
    assert {name for _, name in own.cache or ()} == ahead == set(render.TEMPLATES)
