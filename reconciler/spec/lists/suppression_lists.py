"""Do-not-call lists of a policy: fetched, compared with their pins, decrypted and read.

Promises: never raises for what a list is or says; a list about which anything is wrong has no
numbers, only problems, so that whoever asks it is told that it cannot be asked. What lies elsewhere
or is encrypted is written to no disk.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.spec.config.policy_suppression import FORMATS
from reconciler.spec.lists.listed import DoNotCall
from reconciler.spec.lists.number_reading import Read, Unsound, read_numbers
from reconciler.spec.lists.places import NoPlace, Place, place_of, shown
from reconciler.spec.problems import Problem
from reconciler.spec.source import MAX_LIST, Unreadable, opened_file, stored_bytes
from reconciler.spec.yaml.documents import as_diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path as FilePath

    from reconciler.model import Diagnostic
    from reconciler.spec.config.policy_suppression import Suppression
    from reconciler.spec.source import Opened

_DIGITS = 12
"""How much of a SHA-256 is shown: enough for people to tell two apart."""
_CHUNK = 1 << 20
_SMALLER = "cut the list in two, and name both"


class _Mismatch(Exception):  # noqa: N818 - says what it is
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.problem = Problem((), message, hint)


def read_suppressions(
    root: FilePath, shown_root: str, lists: Iterable[Suppression], *, secrets: bool = True
) -> tuple[DoNotCall, ...]:
    """Read the do-not-call lists of a root, which messages call `shown_root`.

    With `secrets` off, lists that lie elsewhere or are encrypted are not opened. Never raises.
    """
    return tuple(_read(root, shown_root, each, secrets=secrets) for each in lists)


def _read(root: FilePath, shown_root: str, rule: Suppression, *, secrets: bool) -> DoNotCall:
    found = DoNotCall(
        name=rule.name,
        drawn=rule.drawn,
        max_age=timedelta(seconds=rule.max_age),
        refuses=rule.action == "refuse",
        campaigns=None if rule.campaigns is None else frozenset(rule.campaigns),
    )
    told = shown(rule.file)
    named = told if "://" in told else os.path.join(shown_root, told)  # noqa: PTH118 - as typed

    def failed(*problems: Problem) -> DoNotCall:
        return replace(found, problems=tuple(_diagnostic(each, named) for each in problems))

    try:
        place = place_of(root, "", rule.file, FORMATS)
        _require_pins(place, rule)
        if not secrets and (place.remote or place.sealed):
            why = "lies elsewhere" if place.remote else "is encrypted"
            withheld = failed(Problem((), f"the list {why}, and was not read"))
            return replace(withheld, withheld=True)
        apart = place.remote or place.sealed
        read = _elsewhere(root, place, rule) if apart else _here(root, place, rule)
    except Unsound as error:
        return failed(*error.problems)
    except (NoPlace, Unreadable, _Mismatch) as error:
        problem = error.problem
        return failed(Problem((), problem.message, problem.hint))
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        hint = "make room where temporary files go, or name another directory: TMPDIR=…"
        return failed(Problem((), f"the list cannot be kept while it is worked with: {why}", hint))
    return replace(found, numbers=read.numbers)


def _here(root: FilePath, place: Place, rule: Suppression) -> Read:
    """Read a list below the root."""
    with opened_file(root / place.path, limit=MAX_LIST, hint=_SMALLER) as file:
        file.hashes.append(sha256 := hashlib.sha256())
        try:
            read = read_numbers(file, rule.column)
        except Unsound:
            _drain(file)
            _require_pinned(sha256.hexdigest(), rule)
            raise
        _require_pinned(sha256.hexdigest(), rule)
    _require_count(read, rule)
    return read


def _elsewhere(root: FilePath, place: Place, rule: Suppression) -> Read:
    """Read a list that lies elsewhere or is encrypted, in memory alone."""
    if place.remote:
        from reconciler.spec.lists.remote import fetch  # noqa: PLC0415 - only where a list needs it

        data = fetch(place)
    else:
        data = stored_bytes(root / place.path, limit=MAX_LIST, hint=_SMALLER)
    _require_pinned(hashlib.sha256(data).hexdigest(), rule)
    if place.sealed:
        from reconciler.spec.lists.sealed import opened  # noqa: PLC0415 - only where a list needs it

        data = opened(data)
    read = read_numbers(io.BytesIO(data), rule.column, memory=True)
    _require_count(read, rule)
    return read


def _drain(file: Opened) -> None:
    while file.read(_CHUNK):
        pass


def _require_pins(place: Place, rule: Suppression) -> None:
    """Refuse a list that lies elsewhere and is not pinned. Raises `_Mismatch`."""
    lacking = [f"`{name}`" for name in ("sha256", "count") if getattr(rule, name) is None]
    if place.remote and lacking:
        raise _Mismatch(
            f"a list that lies elsewhere must be pinned: {' and '.join(lacking)}"
            f" {'is' if len(lacking) == 1 else 'are'} missing",
            "fetch and review it; `sha256sum FILE` and `wc -l FILE` say what to write",
        )


def _require_pinned(sha256: str, rule: Suppression) -> None:
    """Refuse a list whose bytes are not the pinned ones. Raises `_Mismatch`."""
    if rule.sha256 is not None and rule.sha256 != sha256:
        raise _Mismatch(
            f"this is not the list that was pinned: its sha256 is `{sha256[:_DIGITS]}…`, not"
            f" `{rule.sha256[:_DIGITS]}…`",
            "review the list as it is now, and pin it with its `date`",
        )


def _require_count(read: Read, rule: Suppression) -> None:
    """Refuse a list that is longer or shorter than its pin says. Raises `_Mismatch`."""
    if rule.count is not None and rule.count != read.rows:
        raise _Mismatch(
            f"the list has {read.rows:,} numbers, not {rule.count:,} as it was pinned",
            "review the list, and write its `count`",
        )


def _diagnostic(problem: Problem, named: str) -> Diagnostic:
    return as_diagnostic(problem, named, problem.place or (0, 0), 0)
