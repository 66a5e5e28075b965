"""The tree of errors: exit codes, and messages that say what to do."""

from __future__ import annotations

import pytest

from harness import errors


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.TopologyError(("a", "b")), 2, "a\nb"),
        (errors.RunFolderError("no such run"), 2, "no such run"),
        (
            errors.LabNotFound("x", ()), 2,
            "no lab named 'x' is up (up: none); `harness up --name x` builds it",
        ),
        (
            errors.LabNotFound("x", ("a", "b")), 2,
            "no lab named 'x' is up (up: a, b); `harness up --name x` builds it",
        ),
        (
            errors.LabExists("x"), 2,
            ("a lab named 'x' is up already, or is being built; `harness down x` ends it, "
            "`harness up --name OTHER` builds a second one"),
        ),
        (errors.Unsupported("no 8021q"), 3, "no 8021q"),
        (errors.WorkerLost("gone"), 3, "gone"),
        (errors.WorkerFailed("TypeError"), 3, "TypeError"),
        (errors.BuildError("ip link add", "File exists"), 3, "ip link add: File exists"),
    ],
)  # fmt: skip
def test_an_error_says_what_it_is(error: errors.HarnessError, code: int, message: str) -> None:
    """Usage and input end with 2, what could not be built or told with 3."""
    assert (error.exit_code, str(error)) == (code, message)


def test_errors_carry_what_they_are_about() -> None:
    """Whoever catches one need not take its sentence apart."""
    assert errors.TopologyError(("a", "b")).messages == ("a", "b")
    assert errors.LabNotFound("x", ("a",)).running == ("a",)
    assert errors.LabNotFound("x", ()).name == errors.LabExists("x").name == "x"
    failed = errors.BuildError("step", "reason")
    assert (failed.step, failed.reason) == ("step", "reason")
    unusable = errors.HostUnusable("host2", "reach", "nothing listens there")
    assert (unusable.host, unusable.what, str(unusable)) == (
        "host2", "reach", "host2: nothing listens there",
    )  # fmt: skip
    assert unusable.sentence == "nothing listens there"
