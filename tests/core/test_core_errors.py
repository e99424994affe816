from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.errors import ExitCode, InvalidSpecs, ReconcilerError
from reconciler.model import Diagnostic, Severity


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("ReconcilerError", 1, "a failure, unless something better is known"),
        ("InvalidSpecs", 1, "people mend specs and run again"),
        ("ApiError", 1, "a read failed, nothing was created by it"),
        ("StateError", 1, "a full disk is no refusal"),
        ("Unrecorded", 3, "a batch may exist"),
        ("TooLate", 1, "it was not sent"),
        ("Refused", 4, "a guard said no"),
        ("StateLocked", 4, "another run is at work"),
        ("StateUnusable", 4, "what cannot be trusted is not touched"),
        ("Usage", 64, "the command line is wrong"),
    ],
)
def test_the_kind_of_error_decides_the_exit_code(name: str, code: int, reason: str) -> None:
    """Each kind of error ends a command with the status that the interface promises."""
    kind: type[ReconcilerError] = getattr(errors, name)
    assert int(kind.exit_code) == code, reason


def test_exit_codes_never_change() -> None:
    """The numbers are part of the interface."""
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "CHANGES_PENDING": 2,
        "UNKNOWN_OUTCOME": 3,
        "REFUSED": 4,
        "USAGE": 64,
    }


def test_an_error_says_what_happened_and_what_to_type() -> None:
    """Message and hint are kept apart, and the message is what the exception says."""
    error = ReconcilerError("the disk is full", hint="free some space")
    assert (str(error), error.message, error.hint) == (
        "the disk is full",
        "the disk is full",
        "free some space",
    )


@pytest.mark.parametrize(
    ("n", "told"), [(1, "1 error in specs or settings"), (2, "2 errors in specs or settings")]
)
def test_invalid_specs_carry_every_error(n: int, told: str) -> None:
    """All errors are reported in one go."""
    each = Diagnostic(Severity.ERROR, "a.yaml", 1, 1, "", "wrong")
    error = InvalidSpecs([each] * n)
    assert error.diagnostics == (each,) * n
    assert str(error) == told
