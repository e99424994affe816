"""Keeps people and the token out of messages, whatever an answer echoes.

An API that complains likes to repeat what it was sent. So every text that came over the wire goes
through a `Scrubber` before a person or a log sees it: phone numbers are masked, call variables of
the request and the token are blotted out, and the rest becomes one short printable line.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from reconciler.model import NUMBER, masked_unless_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reconciler.model import Contact

LONGEST = 300
"""How many characters of a foreign text a message may hold."""

_READ = 16_384
"""How many characters are looked at: enough that what is shown never ends at this cut."""

_BLOT = "***"
_SHORTEST_SECRET = 3
"""Shorter variables (an age, a "no") would blot out half of every sentence, and name nobody."""


class Scrubber:
    """Makes foreign text fit to be shown.

    `token` is the API token, `sent` the JSON body of the request that is being answered: neither
    the token nor any call variable of the body survives `clean`, nor anything that `more` gives
    when it is first needed.
    """

    def __init__(
        self,
        token: str = "",
        sent: bytes = b"",
        more: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._token = token
        self._sent = sent
        self._more = more

    def clean(self, text: str, limit: int = LONGEST) -> str:
        """Give one line of at most `limit` characters, without what nobody may see."""
        # The cut to `limit` comes last: half a number or half a name would not be recognised.
        line = _line(text)
        folded = line.casefold()
        for secret in self._secrets:
            if secret.casefold() in folded:  # an API may well write a name in its own capitals
                line = re.sub(re.escape(secret), _BLOT, line, flags=re.IGNORECASE)
                folded = line.casefold()
        line = NUMBER.sub(masked_unless_date, line)
        return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        """Longest first, so that a short one never leaves the tail of a longer one standing."""
        found = {" ".join(value.split()) for value in _variables(self._sent)}
        found = {value for value in found if len(value) >= _SHORTEST_SECRET} | self._more()
        if self._token:
            found.add(self._token)
        return tuple(sorted(found, key=lambda value: (-len(value), value)))


class Noting(Scrubber):
    """Takes down what would be cleaned, so that of very many people only those count it names."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: set[str] = set()

    def clean(self, text: str, limit: int = LONGEST) -> str:
        """Note one line."""
        line = _line(text)
        if line:
            self._lines.add(line)
        return line[:limit]

    def spoken_of(self, contacts: Iterable[Contact]) -> frozenset[str]:
        """Give the call variables that stand in anything that was noted.

        Everything that was noted, where the contacts cannot be read.
        """
        said = "\n".join(self._lines).casefold()
        beginnings = {
            said[at : at + _SHORTEST_SECRET] for at in range(len(said) - _SHORTEST_SECRET + 1)
        }
        found = set()
        try:
            for contact in contacts if beginnings else ():
                for value in _texts(contact["call_variables"]):
                    plain = " ".join(value.split())
                    folded = plain.casefold()
                    if folded[:_SHORTEST_SECRET] in beginnings and folded in said:
                        found.add(plain)
        except OSError:
            return frozenset(self._lines)
        return frozenset(found)


def _line(text: str) -> str:
    """Bring a text into one line, cut to what is looked at."""
    return " ".join("".join(map(_printable, text[:_READ])).split())


def _printable(character: str) -> str:
    """Turn control, format and line-breaking characters into a space: no terminal obeys those."""
    return " " if unicodedata.category(character)[0] in "CZ" else character


def _variables(body: bytes) -> Iterator[str]:
    """Give every call variable of a request body, as the texts an answer could echo."""
    if not body:
        return
    try:
        request = orjson.loads(body)
    except ValueError:
        return
    contacts = request.get("contacts") if isinstance(request, dict) else None
    for contact in contacts if isinstance(contacts, list) else ():
        if isinstance(contact, dict):
            yield from _texts(contact.get("call_variables"))


def _texts(value: Any) -> Iterator[str]:
    """Give the texts and numbers in a JSON value, without recursion: depth is not ours to trust."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            yield item
        elif isinstance(item, int | float) and not isinstance(item, bool):
            yield str(item)
