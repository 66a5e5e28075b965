"""Each failing cell with its cause, and each fault with the cells that it explains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from harness import walk
from harness.causes import Cause, Code, Diagnosis, merged
from harness.diagnosis import kernel, leaks, outcomes, traffic, untold
from harness.diagnosis.chains import chains
from harness.diagnosis.checks import FIRST, THEN
from harness.diagnosis.filtering import Counted
from harness.diagnosis.place import Kind, Place, Places
from harness.diagnosis.scene import Finding, Lab, Scene, first, further
from harness.diagnosis.state import NEWER, State, moment
from harness.diagnosis.tags import Retag, Tags, of_retag, settled
from harness.flow import Outcome, Ruling, Stage, Verdict
from harness.record import Record
from harness.report.model import Evidence
from harness.sightings import Sightings
from harness.topology import Topology


@dataclass(frozen=True)
class Lost:
    """What the frames of a stage say of its failing cells; they are not kept."""

    places: dict[str, Place] = field(default_factory=dict)
    retags: dict[str, Retag] = field(default_factory=dict)


def together(every: Iterable[Lost]) -> Lost:
    """What was found in several sweeps of one stage."""
    found = Lost()
    for one in every:
        found.places.update(one.places)
        found.retags.update(one.retags)
    return found


@dataclass(frozen=True)
class Diagnosed:
    """A stage's verdicts with their causes."""

    verdicts: tuple[Verdict, ...]
    diagnoses: tuple[Diagnosis, ...]


def look(
    topology: Topology, record: Record, sightings: Sightings, verdicts: Iterable[Verdict]
) -> Lost:
    """Look where each failing cell of a sweep was lost, and where its frames changed their tag."""
    wrong = [one for one in verdicts if not one.ok]
    if not wrong:
        return Lost()
    places = Places(topology, record, sightings)
    tags = Tags(topology)
    found = Lost(places.of(wrong))
    for verdict in wrong:
        seen = [(one.point, one.packet) for one in sightings.by_token.get(verdict.token, ())]
        place = found.places.get(verdict.cell.id)
        if place and place.asker:
            seen += places.questions(place)
        retag = tags.first(seen)
        if retag:
            found.retags[verdict.cell.id] = retag
    return found


def diagnose(  # noqa: PLR0913 - a stage, and all that is known of it
    topology: Topology,
    stage: Stage,
    verdicts: Iterable[Verdict],
    lost: Lost,
    evidence: Iterable[Evidence],
    *,
    alone: tuple[str, ...] = (),
) -> Diagnosed:
    """Give every failing cell its cause. `alone` are the cells that were sent again, in order."""
    every = tuple(verdicts)
    if all(one.ok for one in every):
        return Diagnosed(every, ())
    entries = tuple(entry for entry in evidence if entry.stage == str(stage))
    doctor = _Doctor(Lab(topology, stage, State(entries, further(topology))), every, lost, alone)
    return doctor.diagnosed()


class _Doctor:
    """One stage's cells, and all that is known of them."""

    def __init__(
        self, lab: Lab, verdicts: tuple[Verdict, ...], lost: Lost, alone: tuple[str, ...]
    ) -> None:
        self._lab, self._verdicts, self._lost = lab, verdicts, lost
        self._retags = settled(lost.retags)
        self._passed = traffic.passed(lab.topology, verdicts)
        self._gone = traffic.lost(lab.topology, verdicts, lost.places)
        self._counted = _counts(lab.state, alone)
        by_id = {one.cell.id: one for one in verdicts}
        self._alone = [by_id[name] for name in alone if name in by_id]
        self._found: dict[str, Finding] = {}

    def diagnosed(self) -> Diagnosed:
        """Every cause, and every fault."""
        wrong = [one for one in self._verdicts if not one.ok]
        causes: dict[str, Cause] = {}
        shown: dict[str, tuple[str, ...]] = {}
        for verdict in sorted(wrong, key=self._turn):
            self._found[verdict.cell.id] = self._finding(verdict)
        self._found = untold.explained(self._lab, wrong, self._found)
        for verdict in wrong:
            name = verdict.cell.id
            told = self._told(verdict)
            causes[name] = self._cause(verdict, self._found[name], told)
            shown[name] = (*self._found[name].shown, *((told.reading,) if told else ()))
        verdicts = tuple(
            replace(
                one,
                cause=causes[one.cell.id],
                evidence=tuple(dict.fromkeys((*one.evidence, *shown[one.cell.id]))),
            )
            if one.cell.id in causes
            else one
            for one in self._verdicts
        )
        return Diagnosed(verdicts, self._diagnoses(wrong))

    def _turn(self, verdict: Verdict) -> tuple[bool, bool]:
        """Failures first, then what has a place: what could not be told may share their fault."""
        return verdict.ruling is not Ruling.FAIL, self._place(verdict) is None

    def _place(self, verdict: Verdict) -> Place | None:
        """Where it was lost; at its source, if that says itself that it sent nothing."""
        place = self._lost.places.get(verdict.cell.id)
        said = verdict.observation.outcome in (Outcome.NO_ROUTE, Outcome.NOT_SENT)
        if place or not said:
            return place
        cell, topology = verdict.cell, self._lab.topology
        return Place(
            kind=Kind.SENDER,
            node=cell.src,
            peer=(*cell.expectation.via, cell.dst)[0],
            vlan=walk.vlan_of(topology, cell.src, cell.dst),
            flow=outcomes.flow_of(self._lab, cell),
        )

    def _cause(self, verdict: Verdict, finding: Finding, told: kernel.Said | None) -> Cause:
        place = self._lost.places.get(verdict.cell.id)
        detail = f"{place}: {finding.message}" if place else finding.message
        detail += f"; {told}" if told else ""
        return Cause(finding.code, finding.node, finding.subject, detail)

    def _told(self, verdict: Verdict) -> kernel.Said | None:
        """What the kernel said of a cell like this one, when it was sent alone."""
        places = self._lost.places
        alike = next((one for one in self._alone if _alike(one, verdict, places)), None)
        if alike is None:
            return None
        return kernel.said(self._lab.state, alike.cell.id, places[alike.cell.id])

    def _diagnoses(self, wrong: list[Verdict]) -> tuple[Diagnosis, ...]:
        each = ((self._found[one.cell.id], one.cell.id) for one in wrong)
        return merged(
            Diagnosis(one.code, one.node, one.subject, one.message, one.fix, (cell,))
            for one, cell in each
        )

    def _finding(self, verdict: Verdict) -> Finding:
        place = self._place(verdict)
        if verdict.ruling is Ruling.UNPROVED:
            return self._untold(verdict, place)
        found = self._by_outcome(verdict)
        if found:
            return found
        scene = self._scene(verdict, place) if place else None
        found = self._at_place(verdict, scene)
        return found or self._unknown(verdict, scene)

    def _at_place(self, verdict: Verdict, scene: Scene | None) -> Finding | None:
        """What the readings hold of its place, and what changed the tag of its frames."""
        found = first(scene, FIRST[scene.place.kind]) if scene else None
        retag = self._retags.get(verdict.cell.id)
        if found is None and retag:
            found = of_retag(self._lab, retag)
        if found is None and scene:
            found = first(scene, THEN[scene.place.kind])
        return found

    def _by_outcome(self, verdict: Verdict) -> Finding | None:
        lab, seen = self._lab, verdict.observation
        found = outcomes.said_no(lab, verdict) or outcomes.altered(lab, verdict)
        if found:
            return found
        expected = verdict.cell.expectation
        must = expected.outcome is Outcome.REACHED or expected.arrives
        if seen.strays or (not must and (seen.arrived or seen.outcome is Outcome.REACHED)):
            retag = self._retags.get(verdict.cell.id)
            found = leaks.reached(lab, verdict)
            return found or (of_retag(lab, retag) if retag else None)
        found = outcomes.small_at_source(lab, verdict)
        if found is None and not must:
            found = outcomes.untold_error(lab, verdict)
        return found if found or must or self._place(verdict) else untold.elsewhere(lab, verdict)

    def _untold(self, verdict: Verdict, place: Place | None) -> Finding:
        """A fault of the network may also be why nothing could be told."""
        scene = self._scene(verdict, place) if place else None
        return (
            self._at_place(verdict, scene)
            or untold.elsewhere(self._lab, verdict)
            or untold.shared(verdict, self._found, self._verdicts)
            or untold.untold(verdict)
        )

    def _scene(self, verdict: Verdict, place: Place) -> Scene:
        key = (place.near, place.far) if place.near and place.far else None
        counted = next(
            (
                self._counted.get(one.cell.id, {})
                for one in self._alone
                if _alike(one, verdict, self._lost.places)
            ),
            {},
        )
        return Scene(
            lab=self._lab,
            verdict=verdict,
            place=place,
            counted=counted,
            passed=frozenset(self._passed.get(key, ())) if key else frozenset(),
            lost=frozenset(self._gone.get(key, ())) if key else frozenset(),
        )

    def _unknown(self, verdict: Verdict, scene: Scene | None) -> Finding:
        if scene is None:
            message = f"nothing that was read says why: {verdict.why}"
            return Finding(Code.UNKNOWN, None, None, message, "", ())
        place = scene.place
        checks = (*FIRST[place.kind], *THEN[place.kind])
        ruled = dict.fromkeys(code for _, codes in checks for code in codes)
        where = str(place.far or place.near or place.node)
        told = self._told(scene.verdict)
        message = f"{place}; {f'{told}; ' if told else ''}ruled out: {', '.join(ruled)}"
        return Finding(Code.UNKNOWN, place.node, where, message, "", ())


def _alike(one: Verdict, other: Verdict, places: Mapping[str, Place]) -> bool:
    """Whether what was counted of one cell alone says something of another."""
    here, there = places.get(one.cell.id), places.get(other.cell.id)
    if here is None or there is None:
        return False
    same = (here.kind, here.near, here.far) == (there.kind, there.near, there.far)
    return same and one.cell.probe.kind == other.cell.probe.kind


def _counts(state: State, alone: tuple[str, ...]) -> dict[str, dict[str, Counted]]:
    """By cell and node: what each rule counted while the cell was sent alone."""
    found: dict[str, dict[str, Counted]] = {}
    before = NEWER[-1]
    for cell_id in alone:
        now = f"after-{cell_id}"
        nodes = {entry.node for entry in state.evidence if moment(entry) == now}
        found[cell_id] = {node: _difference(state, node, before, now) for node in nodes}
        before = now
    return found


def _difference(state: State, node: str, before: str, now: str) -> Counted:
    then = _packets(state, node, before)
    return {key: count - then.get(key, 0) for key, count in _packets(state, node, now).items()}


def _packets(
    state: State, node: str, when: str
) -> dict[tuple[tuple[str, str, str, str], int], int]:
    read = {
        entry.kind: entry.parsed
        for entry in state.evidence
        if entry.node == node and moment(entry) == when
    }
    return {
        (chain.key, number): rule.packets
        for chain in chains(read.get("firewall", ()), read.get("nftables", ()))
        for number, rule in enumerate(chain.rules)
        if rule.packets is not None
    }
