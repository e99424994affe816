"""What people wrote: specs, the requests they compile to, and what is wrong with them.

Frozen values without behaviour that reaches outside. "Desired" in the vocabulary; what our state
says is `reconciler.state`, what the API says is `reconciler.observed`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypedDict

from msgspec import Struct

from reconciler.values import shown_without

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
    from datetime import date

NUMBER = re.compile(r"\+?\d(?:[\s().\-\u00ad\u200b-\u200f\u2010-\u2015\u2060\u2212\ufeff]*\d){6,}")
"""Anything that can be dialled, however it is written: with spaces, line breaks, brackets, dots,
dashes of every kind, and what no eye sees. Nothing that is kept, shown or logged knows another."""
_DATE = re.compile(
    r"(?:(?:19|20)\d\d-[01]?\d-[0-3]?\d"  # 2035-05-14
    r"|[0-3]?\d([.-])[01]?\d\1(?:19|20)\d\d)"  # 14.05.2035
    r"(?: [0-2]?\d(?=:))?",  # and 09 of 09:00
    re.ASCII,
)
_DATE_IN_PATH = re.compile(
    r"(?:19|20)\d\d(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])",  # 2035-05-14, 20350514
    re.ASCII,
)
_AFTER_DIGITS = re.compile(r"[\d+][\W_]{0,3}$")
_AFTER_DATE = re.compile(
    r"(?:^|(?<![\d+])/)(?:19|20)\d\d(?:(-?)(?:0[1-9]|1[0-2])(?:\1(?:0[1-9]|[12]\d|3[01]))?)?/$",
    re.ASCII,
)
_DIALLABLE = 10**6
_FREE_FIELDS = frozenset({"call_context", "metadata"})


class Lifecycle(StrEnum):
    """What a spec wants its batch to be doing (`reconcile.lifecycle`)."""

    ACTIVE = "active"
    PAUSED = "paused"
    CANCELLED = "cancelled"


class OnChange(StrEnum):
    """Whom a changed spec calls (`reconcile.on_change`)."""

    REMAINING = "remaining"
    EVERYONE = "everyone"
    ADDED = "added"
    FORBID = "forbid"


class Severity(StrEnum):
    """How bad a diagnostic is. Only an error keeps a command from going on."""

    ERROR = "error"
    WARNING = "warning"


class Diagnostic(Struct, frozen=True):
    """One thing that is wrong or odd, at the place where a person can mend it.

    `file` is the path as the user would type it, empty when no file is concerned; `line` and
    `column` count from 1, and 0 means "the whole file"; `field` is a dotted path such as
    `contacts[17].phone_number`. Phone numbers in `message` and `hint` are masked.
    """

    severity: Severity
    file: str
    line: int
    column: int
    field: str
    message: str
    hint: str = ""


class Contact(TypedDict):
    """One person to call, as the API takes it. `phone_number` is E.164 (`+919876543210`)."""

    phone_number: str
    call_variables: dict[str, Any]


class LongContacts(Sequence[Contact]):
    """Contacts too many to be held: each is read when it is asked for, in order of the numbers.

    No number is there twice. Whatever reads raises `OSError` when that fails.
    """

    @abstractmethod
    def canonical(self) -> Iterator[bytes]:
        """Give the canonical JSON of the contacts in pieces, with `,` between but no brackets."""

    @abstractmethod
    def size(self) -> int:
        """Give how many bytes `canonical` has."""

    @abstractmethod
    def numbers(self) -> Iterator[list[str]]:
        """Give all numbers in their order, some thousand at a time."""

    @abstractmethod
    def place(self, number: str) -> int | None:
        """Give the index of the contact with a number; None when there is none."""

    @abstractmethod
    def without(self, numbers: Container[str]) -> LongContacts:
        """Give the contacts that have none of these numbers."""


class LongBody(Struct, frozen=True):
    """A request's JSON that is too long to be held. Can be gone through any number of times.

    `head` is what stands before the contacts, up to the bracket. Iterating raises `OSError`.
    """

    head: bytes
    contacts: LongContacts

    def __len__(self) -> int:
        return len(self.head) + self.contacts.size() + len(b"]}")

    def __iter__(self) -> Iterator[bytes]:
        yield self.head
        yield from self.contacts.canonical()
        yield b"]}"


class Request(Struct, frozen=True):
    """One `POST /batches/` body without `metadata.reconciler`: the unit created exactly once.

    `fields` are the API's fields but `contacts`, absent ones left out (a null is an absence), and
    `scheduled_start` as it will be sent. `contacts` keep the order of the
    file, but for those of a very long list (`LongContacts`). `digest` is
    `reconciler.digest.request_digest` of both. `part` counts from 1 within a spec.
    """

    part: int
    fields: Mapping[str, Any]
    contacts: Sequence[Contact]
    digest: str

    def __repr__(self) -> str:
        return shown_without(self, "contacts")

    @property
    def campaign_id(self) -> str:
        """The campaign the batch belongs to."""
        return str(self.fields["campaign_id"])

    @property
    def scheduled_start(self) -> str | None:
        """ISO 8601: naive in the campaign's timezone, or ending in `Z`; None starts at once."""
        value = self.fields.get("scheduled_start")
        return None if value is None else str(value)


class Consent(Struct, frozen=True, kw_only=True):
    """On what ground these people may be called (`reconcile.consent`), and where that is shown."""

    basis: str
    evidence: str


class Waiver(Struct, frozen=True, kw_only=True):
    """An exception from one rule of the policy: why, and through which day (in UTC) it holds."""

    rule: str
    reason: str
    until: date


class Clearance(Struct, frozen=True, kw_only=True):
    """What a spec says for itself where a policy asks. Nothing of it is sent, or changes a digest.

    `approved_by` are names. `not_after` is ISO 8601 as `scheduled_start` is: later, nothing of
    this spec is launched.
    """

    approved_by: tuple[str, ...] = ()
    not_after: str | None = None
    consent: Consent | None = None
    exceptions: tuple[Waiver, ...] = ()


class Origin(Struct, frozen=True):
    """The very bytes that a spec was read from, as git names them.

    `blob` is the spec file's. `contacts` are the path below the root and the blob of a contact list
    in a file of its own; None for contacts in the spec, and for a list that lies elsewhere, which
    its pin in the spec names. `pinned` tells that the spec names the list's digest.
    """

    blob: str
    contacts: tuple[str, str] | None = None
    pinned: bool = False


class Spec(Struct, frozen=True):
    """One YAML file, read and checked: the desired state of one batch.

    `file` is the path as the user would type it, `path` the path below the batches root with
    forward slashes (`renewals/2026-05.yaml`). `scheduled_start_at` is the (line, column) of the
    field, (0, 0) when it is not in the file. A spec whose list is cut into several requests, of at
    most `max_contacts` each, keeps the one it was cut from in `unsplit`. `origin` is None where the
    bytes are not known any more.
    """

    name: str
    file: str
    path: str
    requests: tuple[Request, ...]
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    on_change: OnChange = OnChange.REMAINING
    scheduled_start_at: tuple[int, int] = (0, 0)
    max_contacts: int | None = None
    unsplit: Request | None = None
    origin: Origin | None = None
    clearance: Clearance = Clearance()

    @property
    def whole(self) -> Request:
        """All that the spec says as one request, however it is cut."""
        return self.unsplit or self.requests[0]

    @property
    def digest(self) -> str:
        """What the spec says, in short: another cut is no change."""
        return self.whole.digest

    @property
    def campaign_id(self) -> str:
        """The campaign of every request of this spec."""
        return self.requests[0].campaign_id

    @property
    def contacts(self) -> int:
        """How many people this spec calls."""
        return sum(len(request.contacts) for request in self.requests)


def _nothing(_: Iterable[str]) -> tuple[Spec, ...]:
    return ()


def _unknown(
    names: Collection[str], _: Mapping[str, Sequence[Sequence[Contact]]]
) -> tuple[Mapping[str, Mapping[str, int]], Collection[str]]:
    return {}, names


class SpecSet(Struct, frozen=True):
    """Everything below one batches root: the specs that are sound, and all diagnostics.

    `files` counts the spec files found, sound or not. `unsound_starts` are the starts of specs that
    have errors: file, (line, column) and the time as it would be sent. `unread` are the names of
    specs that were not read, because they say what they said when they were recorded; `reread`
    gives some of them nevertheless, as far as they are sound. `met` is asked first where only
    matters who is in them: given recorded names, and lists of contacts by new names, it tells how
    many people which recorded spec has in common with which new one, left out where that is nobody;
    and of which of the names that is not known.
    """

    specs: tuple[Spec, ...]
    diagnostics: tuple[Diagnostic, ...]
    files: int
    unsound_starts: tuple[tuple[str, tuple[int, int], str], ...] = ()
    unread: frozenset[str] = frozenset()
    reread: Callable[[Iterable[str]], Iterable[Spec]] = _nothing
    met: Callable[
        [Collection[str], Mapping[str, Sequence[Sequence[Contact]]]],
        tuple[Mapping[str, Mapping[str, int]], Collection[str]],
    ] = _unknown

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that keep a command from going on."""
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)


def masked(phone_number: str) -> str:
    """Give a phone number that tells people which one is meant, and nobody else whose it is.

    Keeps the first three and the last two characters: `+919876543210` → `+91********10`. Anything
    shorter than eight characters is masked whole.
    """
    text = str(phone_number)
    if len(text) < 8:  # noqa: PLR2004 - below this, the ends would be most of it
        return "*" * len(text)
    return f"{text[:3]}{'*' * (len(text) - 5)}{text[-2:]}"


def masked_unless_date(match: re.Match[str]) -> str:
    """Mask a match that can be dialled, but for a date, with or without a time after it.

    Anything that touches the date makes it a number: a sign, more digits, a slash.
    """
    text, (start, end) = match.string, match.span()
    date = _DATE.match(text, start)
    alone = not text[:start].endswith(("+", "/", "-", ".", ")")) and text[end : end + 1] != "/"
    return match[0] if date is not None and date.end() == end and alone else masked(match[0])


def masked_in_path(match: re.Match[str]) -> str:
    """Mask a match that can be dialled, in a path or name, but for a date: `dnd-20350514.csv`.

    What stands beside it, a slash or a dash, is what names of files are made of. With a sign, or
    with a digit more or less, it is no date; nor after other digits, which may be the beginning of
    a number: `45_20350514`. After a directory that is a year or a date it is one.
    """
    before = match.string[: match.start()]
    alone = _AFTER_DIGITS.search(before) is None or _AFTER_DATE.search(before) is not None
    is_date = alone and _DATE_IN_PATH.fullmatch(match[0]) is not None
    return match[0] if is_date else masked_unless_date(match)


def without_numbers(value: Any) -> Any:
    """Give a JSON value with everything in its texts that can be dialled masked, keys included."""
    if isinstance(value, str):
        return NUMBER.sub(lambda match: masked(match[0]), value)
    if isinstance(value, dict):
        return {without_numbers(name): without_numbers(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_numbers(each) for each in value]
    return value


def kept_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give a request's fields as they are kept and shown: the free ones without phone numbers."""
    return {
        name: without_numbers(_as_texts(value)) if name in _FREE_FIELDS else value
        for name, value in fields.items()
    }


def _as_texts(value: Any) -> Any:
    """Turn numbers that are long enough to be dialled into texts."""
    if isinstance(value, dict):
        return {name: _as_texts(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_texts(each) for each in value]
    if not isinstance(value, int | float) or not abs(value) >= _DIALLABLE:
        return value
    return str(int(value)) if isinstance(value, int) or value.is_integer() else str(value)
