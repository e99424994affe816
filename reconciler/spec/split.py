"""One spec, several requests: a list that is too long for one batch is cut into parts.

Who is in which part follows from the numbers alone, whatever the order of the file, so a contact
never moves between the requests of one generation. How a recorded generation was cut is recorded
with it: another setting later changes nothing about it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.digest import request_digest
from reconciler.model import LongContacts, Request

if TYPE_CHECKING:
    from reconciler.model import Spec


def split(whole: Request, max_contacts: int | None) -> tuple[Request, ...]:
    """Cut a request into as few as it takes, each of about the same size; None cuts nothing."""
    total = len(whole.contacts)
    if max_contacts is None or total <= max_contacts:
        return (whole,)
    ordered = whole.contacts
    if not isinstance(ordered, LongContacts):
        ordered = sorted(ordered, key=lambda contact: contact["phone_number"])
    parts = -(-total // max_contacts)
    bounds = [total * part // parts for part in range(parts + 1)]
    return tuple(
        Request(
            part, whole.fields, ordered[low:high], request_digest(whole.fields, ordered[low:high])
        )
        for part, (low, high) in enumerate(pairwise(bounds), start=1)
    )


def split_as(spec: Spec, max_contacts: int | None) -> Spec:
    """Give a spec cut as one of its generations was."""
    if spec.max_contacts == max_contacts:
        return spec
    requests = split(spec.whole, max_contacts)
    return replace(spec, requests=requests, unsplit=spec.whole, max_contacts=max_contacts)
