"""Contact lists that specs point at: where they may lie, and what is wrong with them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.spec.contacts import all_sound, contact_problems
from reconciler.spec.csv_list import examine_list, read_list
from reconciler.spec.discover import is_within
from reconciler.spec.documents import as_diagnostic
from reconciler.spec.problems import Collector, Path, Problem, did_you_mean, quoted
from reconciler.spec.source import MAX_CSV, Unreadable, read_bytes
from reconciler.spec.yaml import Odd

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from reconciler.model import Contact, Diagnostic
    from reconciler.spec.columns import Examined
    from reconciler.spec.list_model import ContactsFile

_FIELD: Path = ("contacts", "file")
_WORKBOOKS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_CELL_HINT = "fill in the cell: the agent greets people with this name"
_CSV_HINT = "in the spreadsheet, export the sheet as 'CSV UTF-8'"


@dataclass(frozen=True, slots=True)
class ListRead:
    """A contact list: its contacts; or problems of the spec that names it, or of its own lines."""

    contacts: list[Contact]
    problems: tuple[Problem, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def read_contacts_file(root: FilePath, spec_path: str, file: ContactsFile, shown: str) -> ListRead:
    """Read the list a spec points at. `spec_path` is below the root, `shown` the root as typed."""
    problem = _path_problem(root, spec_path, file.file)
    if problem is not None:
        return ListRead([], (problem,))
    try:
        data = list_bytes(root, file)
    except Unreadable as error:
        message = f"{quoted(file.file)}: {error.problem.message}"
        return ListRead([], (Problem(_FIELD, message, error.problem.hint),))
    if data.startswith(b"PK\x03\x04"):
        message = f"{quoted(file.file)} is a workbook, in spite of its name"
        return ListRead([], (Problem(_FIELD, message, _CSV_HINT),))
    try:
        contacts = read_list(data, file)
    except Odd:
        pass
    else:
        if all_sound(contacts):
            return ListRead(contacts)
    where = os.path.join(shown, file.file)  # noqa: PTH118 - keeps the root as typed
    return ListRead([], (), tuple(_explain(data, file, where)))


def list_bytes(root: FilePath, file: ContactsFile) -> bytes:
    """Read the bytes of a list. Raises `Unreadable`."""
    return read_bytes(root / file.file, limit=MAX_CSV, hint="split the list and its spec in two")


def cell_place(examined: Examined, path: Path) -> tuple[int, int]:
    """Give the place of a path in a list, or of the row it belongs to; (1, 1) without either."""
    return examined.cells.get(path) or examined.cells.get(path[:2]) or (1, 1)


def _explain(data: bytes, file: ContactsFile, shown: str) -> list[Diagnostic]:
    """Say everything that is wrong with a list, each thing at its line."""
    examined = examine_list(data, file, set())
    collector = Collector(examined.problems)
    if examined.contacts or not examined.problems:
        collector.extend(contact_problems(examined.contacts, _CELL_HINT))
    problems = list(collector)
    wanted = {problem.path for problem in problems if problem.place is None}
    wanted |= {problem.first for problem in problems if problem.first is not None}
    placed = examine_list(data, file, wanted) if wanted else examined
    return [
        as_diagnostic(
            problem,
            shown,
            problem.place or cell_place(placed, problem.path),
            cell_place(placed, problem.first)[0] if problem.first else 0,
        )
        for problem in problems
    ]


def _path_problem(root: FilePath, spec_path: str, path: str) -> Problem | None:
    """Say why a path names no list that may be read, or None."""
    message, hint = _form_problem(path)
    if not message:
        message, hint = _place_problem(root, spec_path, path)
    return Problem(_FIELD, message, hint) if message else None


def _form_problem(path: str) -> tuple[str, str]:
    """Check the text of a path alone."""
    relative = "write it relative to the batches root: `contacts/….csv`"
    if not path.isprintable():
        return f"{quoted(path)} contains an invisible character", relative
    if "\\" in path:
        return f"{quoted(path)} contains a backslash", "write `/` between directories"
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        return f"{quoted(path)} is not relative to the batches root", relative
    if ".." in path.split("/"):
        return f"{quoted(path)} leads out of a directory with `..`", relative
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - a text, not a file yet
    if suffix in _WORKBOOKS:
        return f"{quoted(path)} is a workbook; contact lists are CSV", _CSV_HINT
    if suffix != ".csv":
        known = f"`{suffix}` files are" if suffix else "a file without a suffix is"
        return f"{quoted(path)}: {known} not supported yet", "contact lists are `.csv` files"
    return "", ""


def _place_problem(root: FilePath, spec_path: str, path: str) -> tuple[str, str]:
    """Check what lies at a path."""
    full = root / path
    if full.exists():
        if not is_within(full, os.path.realpath(root)):
            return (
                f"{quoted(path)} is a symlink out of the batches root",
                "copy the list into the root",
            )
        return "", ""
    message = f"there is no file {quoted(path)} below the batches root"
    directory = os.path.dirname(spec_path)  # noqa: PTH120 - a text
    beside = f"{directory}/{path}" if directory else path
    if (root / beside).is_file():
        return message, f"paths are relative to the batches root: write `file: {beside}`"
    try:
        others = [entry.name for entry in full.parent.iterdir()]
    except OSError:
        others = []
    folder = path.rpartition("/")[0]
    meant = did_you_mean(full.name, others)
    if meant is None:
        return message, "paths are relative to the batches root"
    return message, f"did you mean `{folder}/{meant}`?" if folder else f"did you mean `{meant}`?"
