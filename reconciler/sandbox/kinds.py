"""The kinds of faults there are, and the fields each one takes. Why and where: see `faults`."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPERATIONS = (
    "create",
    "list",
    "get",
    "contacts",
    "pause",
    "resume",
    "cancel",
    "campaign",
    "campaign_stats",
    "campaign_batches",
    "validate_token",
)
_LISTS = ("list", "campaign_batches")
_WHEN = {"when": ("before", ("before", "after"))}
NUMBER = (int, float)
_MAYBE = type(None)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of fault does, and its own fields: name → (default, allowed).

    `allowed` is a tuple of types or of literal texts. `shapes` tells that it shapes the effect or
    the rows instead of deciding about the answer.
    """

    does: str
    fields: Mapping[str, tuple[Any, tuple[Any, ...]]] = field(default_factory=dict)
    operations: Sequence[str] = OPERATIONS
    shapes: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "status": Kind(
            "answers `code` with `body` (text is sent as it is, else JSON; null for a fitting "
            "detail), `headers`, and `retry_after` seconds, as an HTTP date when asked",
            {
                **_WHEN,
                "code": (500, (int,)),
                "body": (None, (object,)),
                "content_type": (None, (str, _MAYBE)),
                "headers": ({}, (dict,)),
                "retry_after": (None, (*NUMBER, _MAYBE)),
                "retry_after_as_date": (False, (bool,)),
            },
        ),
        "storm": Kind(
            "answers 429 to everything for `seconds` of simulated time from the first hit on",
            {"seconds": (60, NUMBER), "retry_after": (None, (*NUMBER, _MAYBE))},
        ),
        "reset": Kind("breaks the connection with a TCP RST", _WHEN),
        "close": Kind("closes the connection without a response", _WHEN),
        "truncated": Kind(
            "promises the whole body and closes after `keep` of it (a share from 0 to 1)",
            {"keep": (0.5, NUMBER)},
        ),
        "garbage": Kind(
            "answers `code` with a `body` that is not JSON",
            {
                "when": ("after", ("before", "after")),
                "code": (200, (int,)),
                "body": ("<html><body>Just a moment…</body></html>", (str,)),
                "content_type": ("text/html", (str,)),
            },
        ),
        "no_batch_id": Kind(
            "leaves `batch_id` out of the answer, or puts `value` there",
            {"value": (None, (object,)), "null": (False, (bool,))},
            ("create",),
        ),
        "wrong_total": Kind(
            "answers with `total` as total_contacts",
            {"total": (0, (int,))},
            ("create",),
        ),
        "hang": Kind(
            "gives no answer for `seconds` of wall time (null: until the sandbox stops), and then "
            "breaks the connection or answers; before the effect, only `answer` brings it about",
            {
                **_WHEN,
                "seconds": (None, (*NUMBER, _MAYBE)),
                "then": ("close", ("close", "reset", "answer")),
            },
        ),
        "slow": Kind(
            "drips the body out in `pieces` over `seconds` of wall time",
            {"seconds": (1.0, NUMBER), "pieces": (10, (int,))},
        ),
        "late": Kind(
            "lets the batch come into being `seconds` of simulated time later, and meanwhile "
            "breaks the connection, hangs until the sandbox stops, or answers `code`",
            {
                "seconds": (60, NUMBER),
                "then": ("close", ("close", "reset", "hang", "status")),
                "code": (504, (int,)),
            },
            ("create",),
        ),
        "hold": Kind(
            "keeps the request at a gate before or after the effect until it is released, and then "
            "goes on as usual, or breaks the connection (the effect takes place in any case)",
            {**_WHEN, "then": ("answer", ("answer", "close", "reset"))},
        ),
        "doubled": Kind(
            "makes the batch twice and answers for the second", {}, ("create",), shapes=True
        ),
        "invisible": Kind(
            "hides the batch from lists for `seconds` of simulated time (null: for ever); "
            "`gettable` tells whether reading it by id works meanwhile",
            {"seconds": (None, (*NUMBER, _MAYBE)), "gettable": (True, (bool,))},
            ("create",),
            shapes=True,
        ),
        "cap": Kind("gives at most `rows` rows a page", {"rows": (1, (int,))}, _LISTS, shapes=True),
        "empty_list": Kind("gives no rows", {}, _LISTS, shapes=True),
        "ignore_skip": Kind("always gives the first page", {}, _LISTS, shapes=True),
        "repeat_rows": Kind(
            "begins each page but the first with the last `rows` rows of the page before",
            {"rows": (1, (int,))},
            _LISTS,
            shapes=True,
        ),
        "shuffle": Kind(
            "orders all rows anew for each request, so that pages overlap and miss rows; with "
            "`within` page, only the rows of a page",
            {"within": ("all", ("all", "page"))},
            _LISTS,
            shapes=True,
        ),
        "with_metadata": Kind("puts `metadata` into the rows", {}, _LISTS, shapes=True),
        "drop_fields": Kind(
            "leaves `fields` out of the rows",
            {"fields": (["total_contacts", "created_at"], (list,))},
            _LISTS,
            shapes=True,
        ),
        "naive_created_at": Kind(
            "writes created_at without an offset, as the wall clock of `timezone` shows it",
            {"timezone": ("UTC", (str,))},
            ("create", "get", *_LISTS),
            shapes=True,
        ),
    }
)
