"""What `--format json` prints when a command ends with an error: its usual document, empty.

So a program finds in one place, `diagnostics`, why there is nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.model import Diagnostic, Severity
from reconciler.render.diagnostics import as_json
from reconciler.render.structured import FORMAT_VERSION, failure_document, validation_document

if TYPE_CHECKING:
    from collections.abc import Sequence


def failed(
    command: str, name: str | None, diagnostics: Sequence[Diagnostic]
) -> dict[str, Any] | None:
    """Give the document of a command that failed; None for one that has none.

    `name` is what the command was asked about, for those that take one.
    """
    match command:
        case "plan" | "apply":
            return failure_document(diagnostics)
        case "validate":
            return validation_document(diagnostics, files=0)
        case "status":
            usual: dict[str, Any] = {"campaigns": [], "batches": [], "problems": []}
        case "explain":
            usual = {"name": name, "generation": None, "campaign_id": None}
            usual |= {"batches": [], "problems": []}
        case "state list":
            usual = {"batches": []}
        case "state show":
            usual = {"name": name, "generations": []}
        case "stop":
            usual = {"batches": [], "recorded": False, "problem": None}
        case _:
            return None
    return {"format_version": FORMAT_VERSION, **usual, "diagnostics": as_json(diagnostics)}


def of_no_file(message: str, hint: str = "") -> Diagnostic:
    """Give an error that no line of a file is to blame for."""
    return Diagnostic(Severity.ERROR, "", 0, 0, "", message, hint)
