"""Diagnostics on three kinds of paper."""

from __future__ import annotations

from reconciler.model import Diagnostic, Severity
from reconciler.render.diagnostics import as_github, as_json, as_text

ERROR = Diagnostic(
    Severity.ERROR, "batches/a.yaml", 3, 19, "contacts[1].phone_number", "is wrong", "mend it"
)
WARNING = Diagnostic(Severity.WARNING, "b:1, 100%.yaml", 0, 0, "", "50% odd\r\n::error::x")
NOWHERE = Diagnostic(Severity.ERROR, "", 0, 0, "", "nothing works")


def test_text_is_for_people() -> None:
    """Place, severity, field and message on one line, the hint below."""
    assert as_text([ERROR, NOWHERE]) == (
        "batches/a.yaml:3:19: error: contacts[1].phone_number: is wrong\n"
        "  hint: mend it\n"
        "error: nothing works\n"
    )
    assert as_text([]) == ""


def test_json_is_for_programs() -> None:
    """Every key is there, and severities are plain text."""
    assert as_json([ERROR]) == [
        {
            "severity": "error",
            "file": "batches/a.yaml",
            "line": 3,
            "column": 19,
            "field": "contacts[1].phone_number",
            "message": "is wrong",
            "hint": "mend it",
        }
    ]


def test_github_gets_workflow_commands() -> None:
    """Annotations are escaped so that no text can end a property or begin another command."""
    assert as_github([ERROR, WARNING, NOWHERE]) == (
        "::error file=batches/a.yaml,line=3,col=19,title=contacts[1].phone_number"
        "::is wrong%0Ahint: mend it\n"
        "::warning file=b%3A1%2C 100%25.yaml::50%25 odd%0D%0A::error::x\n"
        "::error::nothing works\n"
    )
