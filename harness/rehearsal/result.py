"""A rehearsal as a whole: its table, its judgements, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from harness.diff import Difference, compare
from harness.errors import CannotCompare
from harness.rehearsal.judgement import EXIT_CODES, Judgement, Rehearsed, Word, judge, worst
from harness.rehearsal.table import Families, Row, columns, rows


@dataclass(frozen=True)
class Rehearsal:
    """All runs, in the order in which they were asked for."""

    done: Sequence[Rehearsed]
    families: Mapping[str, Families]
    """The family of each cell, by the topology's name and the cell's id."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What was rehearsed."""
        return columns(self.done)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The classes of cells."""
        return rows(self.done, self.families)

    @cached_property
    def judgements(self) -> tuple[Judgement, ...]:
        """One for each run."""
        return tuple(map(judge, self.done))

    @cached_property
    def words(self) -> dict[str, Word]:
        """One for each column: the worst of its labs."""
        return {
            column: worst(
                judgement.word
                for one, judgement in zip(self.done, self.judgements, strict=True)
                if one.run.column == column
            )
            for column in self.columns
        }

    @property
    def word(self) -> Word:
        """One for all."""
        return worst(self.words.values())

    @property
    def exit_code(self) -> int:
        """0 good, 1 bad, 125 cannot be tested."""
        return EXIT_CODES[self.word]

    @cached_property
    def differences(self) -> tuple[tuple[Rehearsed, Difference], ...]:
        """What `harness diff` says of each run and that of the same lab in the first column."""
        first = {
            one.run.lab: one.document for one in self.done if one.run.column == self.columns[0]
        }
        return tuple(
            (one, difference)
            for one in self.done
            if one.run.column != self.columns[0]
            and (difference := _compared(first[one.run.lab], one.document))
        )

    def as_json(self) -> dict[str, Any]:
        """As lists, strings and numbers."""
        return {
            "judgement": self.word.value,
            "exit": self.exit_code,
            "columns": [
                {"column": column, "judgement": word.value} for column, word in self.words.items()
            ],
            "rows": [
                {**asdict(row), "signs": list(row.signs)} for row in self.rows
            ],
            "runs": [
                {
                    **asdict(one.run), "release": one.release, "judgement": judgement.word.value,
                    "why": judgement.why, "folder": one.folder, "events": list(one.events),
                }
                for one, judgement in zip(self.done, self.judgements, strict=True)
            ],
        }  # fmt: skip


def _compared(old: dict[str, Any] | None, new: dict[str, Any] | None) -> Difference | None:
    """None if there is nothing to compare."""
    try:
        return compare(old, new) if old and new else None
    except CannotCompare:
        return None
