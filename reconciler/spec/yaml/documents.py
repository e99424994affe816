"""From bytes to a document, and from problems in it to diagnostics with file, line and column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.model import Diagnostic
from reconciler.spec.problems import FIRST, Problem, dotted
from reconciler.spec.source import separator_problem, text_problem
from reconciler.spec.yaml.builder import Document, Odd, build

if TYPE_CHECKING:
    from collections.abc import Iterable


class Reading(Struct, frozen=True):
    """A YAML file as read. `document` is None when nothing is left to check.

    `surveyed` tells that the slow pass was needed, so that contacts may have any shape.
    """

    document: Document | None
    problems: tuple[Problem, ...] = ()
    surveyed: bool = False


def read_document(data: bytes) -> Reading:
    """Read the bytes of a YAML file (without a BOM). Never raises for what stands in it."""
    try:
        return Reading(build(data))
    except Odd:
        pass
    from reconciler.spec.yaml.survey import survey  # noqa: PLC0415 - only for a file that is odd

    problem = text_problem(data) or separator_problem(data.decode("utf-8"))
    if problem is not None:
        return Reading(None, (problem,), surveyed=True)
    document, problems = survey(data)
    return Reading(document, tuple(problems), surveyed=True)


def diagnose(problems: Iterable[Problem], data: bytes, file: str) -> list[Diagnostic]:
    """Find the lines and columns of problems in a YAML file, `file` as the user would type it."""
    from reconciler.spec.yaml.positions import nearest, positions  # noqa: PLC0415 - only for mistakes

    problems = list(problems)
    wanted = {problem.path for problem in problems if problem.place is None}
    wanted |= {problem.first for problem in problems if problem.first is not None}
    found = positions(data, wanted)
    diagnostics = []
    for problem in problems:
        place = problem.place or nearest(found, problem.path, key=problem.at_key)
        first = nearest(found, problem.first, key=False) if problem.first else (0, 0)
        diagnostics.append(as_diagnostic(problem, file, place, first[0]))
    return diagnostics


def as_diagnostic(
    problem: Problem, file: str, place: tuple[int, int], first_line: int, *, unit: str = "line"
) -> Diagnostic:
    """Put a problem at its place; `first_line` is the line of `problem.first`, or its row."""
    before = "on line" if unit == "line" else f"in {unit}"
    message = problem.message.replace(FIRST, f"{before} {first_line}")
    line, column = place
    field = dotted(problem.path)
    return Diagnostic(problem.severity, file, line, column, field, message, problem.hint)
