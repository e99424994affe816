"""Requests too long to be held: sent piece by piece, classified and cleaned like any other."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from reconciler.api.models import as_contact
from reconciler.api.outcome import spoken
from reconciler.api.privacy import Noting, Scrubber
from reconciler.model import LongBody
from reconciler.observed import Created, Rejected, Unknown
from reconciler.spec.lists import spool
from reconciler.spec.lists.spool import Spooling, as_lines

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from reconciler.model import Contact
    from reconciler.spec.lists.spool import Spooled
    from tests.api.conftest import MakeApi, MakeServer

KEY = "rk1_long"
NAMES = ("Rajesh Sharma", "Zoë", "Al", '"Rao", Ravi', "Anjali\tPatel", "  Meera  ")
PEOPLE: list[Contact] = [
    {
        "phone_number": f"+14155550{index:03}",
        "call_variables": {"callee_name": NAMES[index % len(NAMES)], "plan": f"Plan {index}"},
    }
    for index in range(300)
]
YES = b'{"batch_id": "bat_1", "status": "pending", "total_contacts": 300}'


def answer(status: str, body: bytes) -> Callable[[socket.socket, bytes], None]:
    """Give what answers so."""

    def handle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(http(body, status))

    return handle


def http(body: bytes, status: str = "200 OK") -> bytes:
    """Give an answer as it goes over the wire."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture
def contacts(monkeypatch: pytest.MonkeyPatch) -> Spooled:
    """Give people who are not held."""
    monkeypatch.setattr(spool, "_BLOCK", 7)
    spooling = Spooling()
    spooling.add(as_lines(PEOPLE))
    return spooling.sorted()


@pytest.fixture
def body(contacts: Spooled) -> LongBody:
    """Give a request that is not held."""
    return LongBody(b'{"campaign_id":"cmp_1","contacts":[', contacts)


def test_a_long_body_is_sent_with_its_length(
    body: LongBody, raw_server: MakeServer, make_api: MakeApi
) -> None:
    """Not in chunks: the body is as long as the header says, and is the request."""
    server = raw_server(answer("200 OK", YES), keep=True)
    api = make_api(server.url)
    for _ in range(2):
        assert api.create(body, KEY) == Created("bat_1", "pending", 300)
    assert len(server.requests) == 2
    for request in server.requests:
        head, _, sent = request.partition(b"\r\n\r\n")
        assert f"content-length: {len(sent)}".encode() in head.lower()
        assert b"transfer-encoding" not in head.lower()
        assert orjson.loads(sent) == {"campaign_id": "cmp_1", "contacts": PEOPLE}


class Failing:
    """Fails while it is read, after so many pieces."""

    def __init__(self, contacts: Spooled, pieces: int) -> None:
        self._contacts = contacts
        self._pieces = pieces

    def __getattr__(self, name: str) -> object:
        return getattr(self._contacts, name)

    def canonical(self) -> Iterator[bytes]:
        """Give some pieces."""
        for index, piece in enumerate(self._contacts.canonical()):
            if index == self._pieces:
                raise OSError(5, "Input/output error")
            yield piece


@pytest.mark.parametrize("pieces", [0, 1, 40])
def test_a_body_that_cannot_be_read_on_is_unknown(
    contacts: Spooled, raw_server: MakeServer, make_api: MakeApi, pieces: int
) -> None:
    """Something of it left, so nobody can say what came of it; it is not sent again."""
    server = raw_server(answer("200 OK", YES))
    body = LongBody(b'{"contacts":[', Failing(contacts, pieces))  # type: ignore[arg-type]  # stands in
    outcome = make_api(server.url).create(body, KEY)
    assert outcome == Unknown(
        "the contacts could not be read while they were sent: input/output error"
    )
    assert len(server.requests) <= 1


def test_a_body_whose_length_cannot_be_told_is_not_sent(
    contacts: Spooled, raw_server: MakeServer, make_api: MakeApi
) -> None:
    """Nothing left, so nothing is in doubt."""
    server = raw_server(answer("200 OK", YES))
    some = contacts.without({PEOPLE[3]["phone_number"]})
    contacts._file.cut(0)
    outcome = make_api(server.url).create(LongBody(b'{"contacts":[', some), KEY)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith("the contacts cannot be read")
    assert not outcome.retry
    assert server.requests == []


def test_an_exchange_that_was_given_up_sends_no_more(
    contacts: Spooled, raw_server: MakeServer, make_api: MakeApi
) -> None:
    """Who waits no longer does not have the rest of the people sent behind his back."""
    read = threading.Event()
    go_on = threading.Event()

    class Slow(Failing):
        def canonical(self) -> Iterator[bytes]:
            for index, piece in enumerate(self._contacts.canonical()):
                if index == 2:
                    read.set()
                    go_on.wait(10)
                yield piece

    arrived: list[bytes] = []
    over = threading.Event()

    def handle(connection: socket.socket, _: bytes) -> None:
        first = b""
        while not first.endswith(b"{}"):
            first += connection.recv(65_536)
        connection.sendall(http(YES))
        data = b""
        while some := connection.recv(65_536):
            data += some
        arrived.append(data)
        over.set()

    # On a connection that is used again nobody can hang up for whoever waits no longer.
    server = raw_server(handle, raw=True)
    api = make_api(server.url, timeout=0.5)
    assert isinstance(api.create(b"{}", KEY), Created)
    body = LongBody(b'{"contacts":[', Slow(contacts, 0))  # type: ignore[arg-type]  # stands in
    outcome = api.create(body, KEY)
    assert outcome == Unknown("no whole answer within 0.5 s")
    assert read.is_set()
    go_on.set()
    assert over.wait(10)
    (data,) = arrived
    assert PEOPLE[-1]["phone_number"].encode() not in data


DETAILS = [
    {"detail": "no call for Rajesh Sharma today"},
    {"detail": [{"loc": ["body", "contacts", 1, "call_variables"], "msg": "Zoë, Plan 17?"}]},
    {"detail": [{"loc": ["body", "Meera"], "msg": 'Anjali Patel and "Rao", Ravi, Al'}]},
    {"message": "call +14155550123 (Rajesh  Sharma)\nnow"},
    "plain Plan 299 text",
    {},
]


@pytest.mark.parametrize("said", DETAILS, ids=str)
@pytest.mark.parametrize("status", ["422 No", "500 Oops", "400 Bad"])
def test_a_long_request_is_cleaned_like_a_short_one(
    body: LongBody, raw_server: MakeServer, make_api: MakeApi, said: object, status: str
) -> None:
    """Outcomes are equal to the last letter, and name nobody."""
    server = raw_server(answer(status, orjson.dumps(said)), keep=True)
    api = make_api(server.url)
    outcome = api.create(body, KEY)
    assert outcome == api.create(b"".join(body), KEY)
    for name in ("Rajesh", "Zo", "Meera", "Anjali", "Ravi", "Plan", "55550123"):
        assert name not in str(outcome)


def test_where_nobody_can_say_who_is_named_nothing_is_shown(contacts: Spooled) -> None:
    """An answer to a request that cannot be read any more is blotted out whole."""
    noting = Noting()
    said = orjson.dumps({"detail": "no call for Rajesh"})
    spoken(said, noting)
    contacts._file.cut(0)
    words = spoken(said, Scrubber(more=lambda: noting.spoken_of(contacts)))
    assert "Rajesh" not in words.text
    assert "no call" not in words.text


def test_a_success_looks_for_nobody(
    contacts: Spooled, raw_server: MakeServer, make_api: MakeApi
) -> None:
    """A million people are gone through for their names where there is something to clean only."""
    server = raw_server(answer("200 OK", YES))

    class Unseen(Failing):
        def canonical(self) -> Iterator[bytes]:
            return self._contacts.canonical()

        def __iter__(self) -> Iterator[Contact]:
            raise AssertionError("everybody was looked at")

    body = LongBody(b'{"contacts":[', Unseen(contacts, 0))  # type: ignore[arg-type]  # stands in
    assert isinstance(make_api(server.url).create(body, KEY), Created)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"callee_name": "Zoë", "plan": ""},
        {"b": 1, "a": [1.5, None, {"x": True}]},
        {"b": 2**70},
        json.loads('{"a":' * 400 + "1" + "}" * 400),
    ],
    ids=["none", "texts", "values", "a large number", "deep"],
)
def test_what_a_contact_was_sent_is_kept_small_and_whole(variables: dict[str, Any]) -> None:
    """However it is held, it reads and compares as what the API sent."""
    row = {"contact_id": "c_1", "phone_number": "+14155550100", "call_variables": variables}
    contact, again = as_contact(row), as_contact(row)
    assert contact is not None
    assert again is not None
    kept = contact.call_variables
    assert kept is not None
    assert kept == variables
    assert kept == again.call_variables
    assert kept != {**variables, "more": 1}
    assert dict(kept) == variables
    assert len(kept) == len(variables)
