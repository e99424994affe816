"""What the columns of a contact list are: which holds the number, which is which call variable.

The formats differ in how they write a column down (a header's cell, a key of each line, a column of
a Parquet file). What `columns`, `other_columns` and `call_variables` of a spec make of them is said
here, once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from reconciler.spec.problems import Path, Problem, did_you_mean, dotted, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from reconciler.spec.lists.list_rules import ListFile

NUMBER = "phone_number"
NAME = "callee_name"

_PHONE_HEADERS = ("phone", "mobile", "number", "telephone", "tel", "msisdn", "cell")
_NAME_HEADERS = ("name", "fullname", "full_name", "customer", "customer_name", "first_name")
_USUAL = {NUMBER: _PHONE_HEADERS, NAME: _NAME_HEADERS}
"""What every contact needs, and how lists call it."""
_MANY_HEADERS = 30
_PLAIN = re.compile(r"[^\W\d](?:[\w ./()-]*[\w./()-])?")
_NO_TEXTS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""What some reader of YAML takes for something else than the text that it is."""


class Unusable(Exception):  # noqa: N818 - says what the list is
    """A list whose rows cannot be read; carries why, with the place."""

    def __init__(self, message: str, hint: str = "", place: tuple[int, int] = (1, 1)) -> None:
        super().__init__(message)
        self.problem = Problem(("contacts",), message, hint, place=place)


class Examined(Struct, frozen=True):
    """What an exact reading found: contacts, the row problems, and where things stand.

    `contacts` may be read anew each time they are gone through, so that they need not be held.
    `cells` gives the (line, column) of the asked-for cells, and of the rows they are in.
    """

    contacts: Collection[Any] = ()
    problems: list[Problem] = field(default_factory=list)
    cells: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path) -> tuple[int, int]:
        """Give the place of a path, or of the row it belongs to; (1, 1) without either."""
        return self.cells.get(path) or self.cells.get(path[:2]) or (1, 1)


class Wording(Struct, frozen=True):
    """How a format calls a column, for messages."""

    lacking: str
    """Followed by the name that is looked for: `no column has the header`."""
    plural: str
    """Followed by the names there are: `headers`."""


def our_name(header: str, file: ListFile) -> str | None:
    """Give the name under which a column is sent; None when it is left out."""
    for name, renamed in file.columns.items():
        if renamed == header:
            return name
    kept = file.other_columns == "keep" or header in {NUMBER, NAME}
    return header if kept else None


def matched(
    headers: Sequence[str], file: ListFile, wording: Wording, place: tuple[int, int]
) -> dict[str, int]:
    """Give our name → the column's index, `phone_number` among them.

    Raises `Unusable`, at `place`: a column that `columns` names is not there, two columns have one
    name, one has the name of a variable that is set for everybody, or there is no number or name.
    """
    indexes: dict[str, int] = {}
    turned = turned_round(headers, file)
    if turned is not None:
        raise _turned_round(turned, headers, file, place)
    for name, header in file.columns.items():
        if header not in headers:
            raise _not_there(name, header, headers, wording, place)
        indexes[name] = headers.index(header)
    renamed = set(indexes.values())
    for index, header in enumerate(headers):
        if index in renamed or our_name(header, file) is None:
            continue
        if header in indexes:
            raise Unusable(
                f"the column {quoted(header)} has the name that `columns` gives to"
                f" {quoted(file.columns[header])}",
                "rename one of the two, or write `other_columns: drop`",
                place,
            )
        indexes[header] = index
    for name in file.call_variables:
        if name in indexes:
            raise _set_twice(name, headers[indexes[name]], place)
    lacking = [name for name in _USUAL if name not in indexes and name not in file.call_variables]
    if lacking:
        raise _nothing_called(lacking, headers, wording, place)
    return indexes


def turned_round(headers: Sequence[str], file: ListFile) -> str | None:
    """Give a header that `columns` has where our name belongs, and our name in its place."""
    pairs = file.columns.items()
    return next(
        (ours for ours, its in pairs if its in _USUAL and _is_turned(ours, its, headers)), None
    )


def _is_turned(ours: str, its: str, headers: Sequence[str]) -> bool:
    return ours in headers and its not in headers


def _turned_round(
    turned: str, headers: Sequence[str], file: ListFile, place: tuple[int, int]
) -> Unusable:
    """Say that `columns` is written the other way, and give it as it is meant."""
    meant = dict(
        (its, ours) if _is_turned(ours, its, headers) else (ours, its)
        for ours, its in file.columns.items()
    )
    return Unusable(
        "`contacts.columns` is the wrong way round: it maps our name to the list's header, and"
        f" {quoted(turned)} is a header",
        f"write `columns: {_mapping(meant)}`",
        place,
    )


def _mapping(columns: Mapping[str, str]) -> str:
    """Write `columns` in one line of YAML."""
    pairs = (f"{_scalar(name)}: {_scalar(header)}" for name, header in columns.items())
    return f"{{{', '.join(pairs)}}}"


def _scalar(text: str) -> str:
    """Write a text in YAML: in quotes, where it could be anything else without."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXTS:
        return text
    import json  # noqa: PLC0415 - only where a list has such a header

    return json.dumps(text, ensure_ascii=not text.isprintable())


def _not_there(
    name: str, header: str, headers: Sequence[str], wording: Wording, place: tuple[int, int]
) -> Unusable:
    meant = did_you_mean(header, headers)
    listed = f"{wording.plural} are {_listed(headers)}"
    hint = f"did you mean {quoted(meant)}? The {listed}" if meant else f"the {listed}"
    field = dotted(("contacts", "columns", name))
    return Unusable(f"{wording.lacking} {quoted(header)}, which `{field}` names", hint, place)


def _set_twice(name: str, header: str, place: tuple[int, int]) -> Unusable:
    field = dotted(("contacts", "call_variables", name))
    return Unusable(
        f"the column {quoted(header)} gives each contact a {quoted(name)}, and `{field}` gives all"
        " of them one",
        "delete one of the two, or leave the column out with `other_columns: drop`",
        place,
    )


def _nothing_called(
    names: Sequence[str], headers: Sequence[str], wording: Wording, place: tuple[int, int]
) -> Unusable:
    columns = _mapping({name: _meant(name, headers, wording) for name in names})
    none = ", and none ".join(f"`{name}`" for name in names)
    return Unusable(
        f"no column is called {none}; the {wording.plural} are {_listed(headers)}",
        f"rename {'one' if len(names) == 1 else 'them'}, or write `columns: {columns}` in the spec",
        place,
    )


def _meant(name: str, headers: Sequence[str], wording: Wording) -> str:
    """Guess which header was meant; a placeholder where none looks like it."""
    usual = _USUAL[name]
    meant = next(
        (h for h in headers if did_you_mean(h, [name]) or _plain(h) in usual),
        next((h for h in headers if set(_plain(h).split("_")) & set(usual)), None),
    )
    return meant if meant is not None else f"ITS {wording.plural.removesuffix('s').upper()}"


def is_usual_header(header: str) -> bool:
    """Whether a text is what lists call a number or a name, so that it is no contact's own."""
    if header in _USUAL or did_you_mean(header, [*_USUAL]):
        return True
    plain = _plain(header)
    return any(not {plain, *plain.split("_")}.isdisjoint(usual) for usual in _USUAL.values())


def _listed(headers: Sequence[str]) -> str:
    return ", ".join(quoted(header) for header in headers[:_MANY_HEADERS])


def _plain(header: str) -> str:
    return re.sub(r"[\s-]+", "_", header.strip().lower())
