"""How often people were called: as a plain list of calls would say, and nothing without the key.

The reference keeps every launch as a set, and looks at all of them. Sizes are made tiny, so that
launches are looked up in every way there is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
from array import array
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import TypeAdapter, ValidationError

from reconciler.apply.calls import CallLog
from reconciler.errors import Refused
from reconciler.model import Contact, OnChange
from reconciler.policy import frequency as rule
from reconciler.policy.case import Case, Crowd
from reconciler.policy.finding import Finding, Level
from reconciler.policy.frequency import Frequency, Limit, continued, opened, uncovered
from reconciler.policy.keyed import LedgerKey, ledger_key
from reconciler.spec.config.policy_frequency import Frequencies
from reconciler.spec.lists.list_rules import ListFile
from reconciler.spec.lists.reader import Shelves
from reconciler.spec.yaml.scalars import Plain
from reconciler.state import calls
from reconciler.state.calls import CallLedger, Launch, LedgerUnusable, decode, encode, name_of
from tests.core.builders import created, creating, plan, recorded, spec, state
from tests.policy.launches import launch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from reconciler.state.document import State

NOW = datetime(2026, 5, 12, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SECRET = "correct horse battery staple, and then some"  # noqa: S105 - opens nothing
KEY = LedgerKey(SECRET.encode())
NUMBERS = [f"+9198100{n:05}" for n in range(40)]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"_SMALL": 3, "_LOOKED_UP": 8, "_SLICE": 4, "_DENSE": 2}.items():
        monkeypatch.setattr(calls, name, size)


def launch(request: str, at: datetime, *hashes: int) -> Launch:
    """Give a launch of people with these hashes."""
    return Launch(request, at, array("Q", sorted(set(hashes))))


def people(numbers: Iterable[str]) -> list[Contact]:
    """Give contacts with these numbers."""
    return [{"phone_number": n, "call_variables": {"callee_name": "Asha"}} for n in numbers]


# -- counting --------------------------------------------------------------------------------------

HASHES = st.sets(st.integers(0, 25), max_size=12)
TIMES = st.integers(-12, 12).map(lambda hours: NOW + timedelta(hours=hours))
STEPS = st.lists(st.tuples(st.sampled_from("abcdef"), st.one_of(st.none(), HASHES), TIMES))


@given(STEPS, HASHES, st.integers(1, 3), st.integers(0, 12), st.sets(st.sampled_from("abcdef")))
@example([("a", {1}, NOW - 3 * DAY / 24)], {1}, 1, 3, set())
def test_counts_are_those_of_a_plain_list(
    steps: list[tuple[str, set[int] | None, datetime]],
    asked: set[int],
    times: int,
    hours: int,
    besides: set[str],
) -> None:
    """Whatever launches came and went: who was called so often is who a list of all says."""
    ledger, reference = CallLedger(), dict[str, tuple[set[int], datetime]]()
    for request, hashes, at in steps:
        if hashes is None:
            ledger.drop(request)
            reference.pop(request, None)
        else:
            ledger.put(launch(request, at, *hashes))
            reference[request] = (hashes, at)
    within = timedelta(hours=hours)
    expected = sum(
        sum(
            each in hashes and NOW - within <= at <= NOW + within and request not in besides
            for request, (hashes, at) in reference.items()
        )
        >= times
        for each in asked
    )
    assert ledger.called(array("Q", sorted(asked)), times, NOW, within, besides) == expected
    assert len(ledger) == sum(len(hashes) for hashes, _ in reference.values())
    assert set(ledger.launches) == set(reference)
    assert not reference or ledger._looked_up == sum(map(len, ledger._small.values()))


@pytest.mark.parametrize(
    ("ago", "counts"),
    [
        (timedelta(0), True),
        (DAY, True),
        (DAY + timedelta(microseconds=1), False),
        (-DAY, True),
        (-DAY - timedelta(microseconds=1), False),
    ],
    ids=["now", "at the edge", "before it", "still to come, or a clock set back", "long after"],
)
def test_the_edges_of_a_window(ago: timedelta, counts: bool) -> None:  # noqa: FBT001 - a case
    """A call on the edge counts, and one that is still to come as one that was."""
    ledger = CallLedger([launch("a", NOW - ago, 7)])
    assert ledger.called(array("Q", [7]), 1, NOW, DAY) == counts


def test_everybody_of_a_large_launch() -> None:
    """A hundred thousand people against as many of three launches: counted without a miss."""
    some = array("Q", range(0, 300_000, 3))
    ledger = CallLedger(Launch(name, NOW, some) for name in "abc")
    assert ledger.called(some, 3, NOW, DAY) == len(some)
    assert ledger.called(some, 4, NOW, DAY) == 0
    assert ledger.called(array("Q", [1, 3, 299_997]), 3, NOW, DAY) == 2


# -- the file of a launch --------------------------------------------------------------------------

GOOD = encode(launch("rk1_a", NOW, 1, 5, 2**64 - 1), KEY.id)


def test_a_launch_is_read_as_it_was_written() -> None:
    """Times are kept to the microsecond, hashes to the bit."""
    at = NOW + timedelta(microseconds=1)
    written = launch("rk1_a", at, 0, 5, 2**63, 2**64 - 1)
    assert decode("rk1_a.calls", encode(written, KEY.id), KEY.id) == written
    assert b"\0" in encode(launch("rk1_b", NOW), KEY.id)[:400]  # git takes it for binary


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_byte_that_changed_is_noticed(place: int, by: int) -> None:
    """A file that anybody touched is refused, wherever it was touched."""
    bad = bytearray(GOOD)
    bad[place] ^= by
    with pytest.raises(LedgerUnusable):
        decode("rk1_a.calls", bytes(bad), KEY.id)


@given(st.integers(0, len(GOOD) - 1))
def test_any_byte_that_is_missing_is_noticed(length: int) -> None:
    """A file that was cut short is refused."""
    with pytest.raises(LedgerUnusable):
        decode("rk1_a.calls", GOOD[:length], KEY.id)


@given(st.binary(max_size=300))
def test_whatever_else_is_there_is_refused(data: bytes) -> None:
    """What no run wrote is never read as if one had."""
    for bad in (data, data + b"\n\0" + data, b"{}\n\0" + data, b"[1]\n\0", GOOD + data + b"x"):
        with pytest.raises(LedgerUnusable):
            decode("rk1_a.calls", bad, KEY.id)


def sealed(**changes: Any) -> bytes:
    """Write a launch with another header, checksum and all."""
    body: bytes = changes.pop("body", GOOD[-24:])
    header = {"at": NOW.isoformat(), "format": "calls/1", "key": KEY.id, "people": 3,
              "request": "rk1_a", **changes}  # fmt: skip
    header["sha256"] = calls._checksum(header, body)
    return bytes(orjson.dumps(header)) + b"\n\0" + body


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "calls/2"}, "does not know"),
        ({"request": "rk1_b"}, "name says"),
        ({"at": "2026-05-12T09:00:00"}, "name says"),
        ({"people": 4}, "cut short"),
        ({"people": None}, "no ledger"),
        ({"body": GOOD[-8:] + GOOD[-24:-8]}, "out of order"),
        ({"body": GOOD[-8:] * 3}, "out of order"),
        ({"key": "0123456789abcdef"}, "another key"),
    ],
)
def test_a_header_that_lies(changes: dict[str, Any], said: str) -> None:
    """A newer format, another file's content, another key: each is refused for what it is."""
    assert decode("rk1_a.calls", sealed(), KEY.id).request == "rk1_a"
    with pytest.raises(LedgerUnusable, match=said) as caught:
        decode("rk1_a.calls", sealed(**changes), KEY.id)
    assert caught.value.hint


# -- the key ---------------------------------------------------------------------------------------


def test_hashes_are_those_of_hmac() -> None:
    """Anybody with the key finds the same: eight bytes of an HMAC with SHA-256 of the number."""
    expected = sorted(
        int.from_bytes(hmac.digest(SECRET.encode(), n.encode(), hashlib.sha256)[:8])
        for n in NUMBERS
    )
    assert list(KEY.hashed([*NUMBERS, NUMBERS[0]])) == expected
    assert list(LedgerKey(b"x" * 32).hashed(NUMBERS)) != expected


def test_a_list_that_is_not_held_has_the_same_hashes() -> None:
    """It does not matter how long a list is."""
    text = "phone_number,callee_name\n" + "".join(f"{number},Asha\n" for number in NUMBERS)
    spooled = Shelves().spooled(io.BytesIO(text.encode()), ListFile(file="x.csv"), memory=False)
    assert spooled is not None
    assert KEY.of(spooled) == KEY.of(people(reversed(NUMBERS))) == KEY.hashed(NUMBERS)


@pytest.mark.parametrize(
    "written", ["", "   ", "short", "abcdefghijklmnopqrstuvwxyz", "x" * 64, "ab" * 20]
)
def test_no_key_and_weak_keys_are_refused(written: str) -> None:
    """Without a key that nobody can guess there are no hashes, and the key is not told."""
    with pytest.raises(Refused) as caught:
        ledger_key({"RECONCILER_LEDGER_KEY": written})
    assert "openssl rand" in caught.value.hint
    assert len(written) < 5 or written not in str(caught.value)


def test_a_key_shows_nothing_of_itself() -> None:
    """Its id tells it from others; the key is in no text that is made of it."""
    key = ledger_key({"RECONCILER_LEDGER_KEY": f" {SECRET}\n"})
    assert key.id == KEY.id != LedgerKey(b"another key, just as long as that one").id
    assert SECRET not in repr(key) + repr(Frequency(key=key))


def test_nothing_of_a_number_can_be_tried_out() -> None:
    """No number and no hash of one that anybody could compute is in the ledger or in a message."""
    numbers = NUMBERS[:5]
    log, store = logged()
    log.intend("rk1_a", people(numbers), None, NOW)
    log.lay(NOW)
    told = list(judged(log.ledger, numbers, Limit(1, DAY)))
    texts = b"".join(filter(None, store.files.values())) + repr((told, log)).encode()
    assert told
    for number in numbers:
        for plain in (number.encode(), number[1:].encode(), number[-10:].encode()):
            assert plain not in texts
            for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256"):
                digest = hashlib.new(name, plain).digest()
                assert digest[:8] not in texts
                assert digest.hex()[:12].encode() not in texts
                assert base64.b64encode(digest)[:12] not in texts


# -- the rule --------------------------------------------------------------------------------------


def case(starts_at: datetime | None = NOW, *, offline: bool = False) -> Case:
    """Give a launch."""
    return launch_of(Crowd(people=3), NOW, starts_at=starts_at, offline=offline)


def asked(
    frequency: Frequency, numbers: Iterable[str], besides: Iterable[str] = (), **of: Any
) -> list[Finding]:
    """Judge one launch of some people."""
    return list(frequency.findings(case(**of), [people(numbers)], set(besides)))


def judged(ledger: CallLedger, numbers: Iterable[str], *limits: Limit, **of: Any) -> list[Finding]:
    """Judge a launch of some people by a ledger."""
    return asked(Frequency(limits, KEY, ledger), numbers, **of)


def of_days_ago(*days: int) -> CallLedger:
    """Give a ledger in which the first five people were called on each of these days."""
    hashes = KEY.hashed(NUMBERS[:5])
    return CallLedger(Launch(f"rk1_{day}", NOW - day * DAY, hashes) for day in days)


def test_who_was_called_too_often_stops_the_launch() -> None:
    """They are counted; who was called less often is not in the way."""
    ledger = of_days_ago(1, 2, 3)
    (found,) = judged(ledger, NUMBERS[3:9], Limit(3, 7 * DAY))
    assert (found.rule, found.level) == ("frequency", Level.REFUSE)
    assert "2 people have had 3 calls in 7 days" in found.message
    assert not judged(ledger, NUMBERS[3:9], Limit(4, 7 * DAY))
    assert not judged(ledger, NUMBERS[5:9], Limit(1, 7 * DAY))
    assert not judged(ledger, NUMBERS[3:9], Limit(3, 2 * DAY))


def test_several_limits_all_hold() -> None:
    """Each that is reached is told."""
    limits = Limit(1, DAY), Limit(3, 7 * DAY), Limit(9, 30 * DAY)
    assert len(judged(of_days_ago(1, 2, 3), NUMBERS[:1], *limits)) == 2
    assert not judged(of_days_ago(1, 2, 3), NUMBERS[:1])


def test_the_window_is_around_the_start() -> None:
    """A batch that starts in a week is not held to what was called last week."""
    ledger = of_days_ago(1)
    assert judged(ledger, NUMBERS[:1], Limit(1, 3 * DAY), starts_at=NOW + 2 * DAY)
    assert not judged(ledger, NUMBERS[:1], Limit(1, 3 * DAY), starts_at=NOW + 3 * DAY)
    assert judged(ledger, NUMBERS[:1], Limit(1, 3 * DAY), starts_at=None)
    assert judged(ledger, NUMBERS[:1], Limit(1, 3 * DAY), starts_at=NOW - 9 * DAY)


def test_what_a_launch_goes_on_with_does_not_count() -> None:
    """A request that is sent again is not in its own way."""
    ledger = of_days_ago(1, 2)
    assert not judged(ledger, NUMBERS[:1], Limit(2, 7 * DAY), besides={"rk1_1"})
    assert judged(ledger, NUMBERS[:1], Limit(1, 7 * DAY), besides={"rk1_1"})


def test_a_ledger_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has no room for is not launched, and nothing is forgotten for it."""
    monkeypatch.setattr(rule, "MOST", 12)
    ledger = of_days_ago(1, 2)
    assert not judged(ledger, NUMBERS[10:12], Limit(9, 7 * DAY))
    (found,) = judged(ledger, NUMBERS[10:13], Limit(9, 7 * DAY))
    assert "no room for 3 more" in found.message
    assert not judged(ledger, NUMBERS[10:13], Limit(9, 7 * DAY), besides={"rk1_1"})


WEEK = (Limit(3, 7 * DAY),)
ENVIRON = {"RECONCILER_LEDGER_KEY": SECRET}
FIRST = spec()


def told(frequency: Frequency, **of: Any) -> str:
    """Judge a launch of one, which is refused, and say why."""
    (found,) = asked(frequency, NUMBERS[:1], **of)
    assert found.level is (Level.WARN if of.get("offline") else Level.REFUSE)
    assert found.hint
    return found.message


def opened_on(
    on: State, files: Mapping[str, bytes] | None = None, environ: Mapping[str, str] = ENVIRON
) -> Frequency:
    """Open the ledger of a root."""
    return opened(WEEK, environ, (files or {}).items, on, NOW)


def test_without_a_key_nothing_is_launched() -> None:
    """Nor with another one, nor with a ledger that cannot be read; offline it is only told."""
    empty = state()
    assert "RECONCILER_LEDGER_KEY is not set" in told(opened_on(empty, environ={}))
    assert "is not set" in told(opened_on(empty, environ={}), offline=True)
    files = {"rk1_a.calls": GOOD}
    other = {"RECONCILER_LEDGER_KEY": "quite another key, and long enough"}
    assert "another key" in told(opened_on(empty, files, other))
    assert "cut short" in told(opened_on(empty, {"rk1_a.calls": GOOD[:-1]}))
    unread = replace(opened_on(empty, files), ledger=None, planned=None, hint="look")
    assert "nobody looked" in told(unread)
    assert not asked(opened_on(empty, files), NUMBERS)


def test_a_batch_that_the_ledger_does_not_have() -> None:
    """Whoever it called would not be counted, so nothing is launched before it is made anew."""
    on = state(welcome=recorded(created(FIRST, attempted_at=NOW - 6 * DAY), of=FIRST))
    key = next(request.key for _, _, request in on.requests())
    assert "does not say whom welcome called" in told(opened_on(on))
    files = {name_of(key): encode(launch(key, NOW - 6 * DAY, 1), KEY.id)}
    assert not asked(opened_on(on, files), NUMBERS)
    assert uncovered(on, CallLedger(), NOW - 5 * DAY) == ("welcome",)  # clocks differ by a day
    assert uncovered(on, CallLedger(), NOW - 4 * DAY) == ()


def test_a_batch_that_may_exist_counts_and_one_that_does_not_does_not() -> None:
    """What is in doubt has to be in the ledger; what a person said was never made has not."""
    doubt = creating(FIRST, attempted_at=NOW)
    assert uncovered(state(welcome=recorded(doubt, of=FIRST)), CallLedger(), NOW) == ("welcome",)
    released = creating(FIRST, attempted_at=NOW, released_at=NOW)
    assert uncovered(state(welcome=recorded(released, of=FIRST)), CallLedger(), NOW) == ()


def test_a_batch_that_was_made_long_ago_and_starts_now() -> None:
    """It counts from its start, whenever it was created."""
    late = spec(scheduled_start="2026-05-14T09:00:00")
    on = state(welcome=recorded(created(late, attempted_at=NOW - 90 * DAY), of=late))
    assert uncovered(on, CallLedger(), NOW - DAY) == ("welcome",)


# -- a plan of several launches --------------------------------------------------------------------


@given(
    st.lists(st.sets(st.integers(0, 9), min_size=1), max_size=12),
    st.lists(st.sets(st.integers(0, 9)), max_size=3),
    st.integers(1, 3),
)
def test_a_plan_is_counted_in_its_order(
    planned: list[set[int]], before: list[set[int]], times: int
) -> None:
    """Whatever is planned: nobody gets too many calls, and nothing is refused without need."""
    key, limits = LedgerKey(b"a key of a test, long enough for it"), (Limit(times, DAY),)
    numbers = [f"+9198100{n:05}" for n in range(10)]
    ledger = CallLedger(
        Launch(f"rk1_old{n}", NOW, key.hashed(numbers[each] for each in some))
        for n, some in enumerate(before)
    )
    frequency = Frequency(limits, key, ledger, planned=CallLedger(ledger.launches.values()))
    had = [sum(each in some for some in before) for each in range(10)]
    for n, some in enumerate(planned):
        contacts = people(numbers[each] for each in some)
        found = list(frequency.findings(case(), [contacts]))
        assert bool(found) == any(had[each] >= times for each in some)
        if not found:
            frequency.launched(case(), {f"rk1_{n}": contacts})
            for each in some:
                had[each] += 1
    assert set(ledger.launches) == {f"rk1_old{n}" for n in range(len(before))}


def test_what_is_planned_counts_from_its_start() -> None:
    """Two batches of the same people on different days are both within the limit."""
    limits = (Limit(1, DAY),)
    frequency = opened(limits, ENVIRON, {}.items, state(), NOW)
    frequency.launched(case(NOW + 3 * DAY), {"rk1_a": people(NUMBERS)})
    assert not asked(frequency, NUMBERS)
    assert asked(frequency, NUMBERS, starts_at=NOW + 3 * DAY)
    assert not asked(frequency, NUMBERS, {"rk1_a"}, starts_at=NOW + 3 * DAY)
    Frequency().launched(case(), {"rk1_a": people(NUMBERS)})


class _Broken(list[Contact]):
    def __iter__(self) -> Any:
        raise OSError(5, "Input/output error")


def test_contacts_that_cannot_be_read() -> None:
    """A disk that fails stops the launch."""
    frequency = Frequency((Limit(1, DAY),), KEY, CallLedger())
    (found,) = frequency.findings(case(), [_Broken()])
    assert "input/output error" in found.message


@pytest.mark.parametrize(
    ("on_change", "in_its_way"),
    [(OnChange.REMAINING, False), (OnChange.ADDED, False), (OnChange.EVERYONE, True)],
)
def test_a_changed_spec_goes_on(on_change: OnChange, in_its_way: bool) -> None:  # noqa: FBT001 - a case
    """Whom the batch before has called counts only where everybody is called again."""
    on = state(welcome=recorded(created(FIRST), of=FIRST))
    (old,) = (request.key for _, _, request in on.requests())
    (action,) = plan(spec(contents=2, on_change=on_change), on=on).actions
    (own,) = (creation.key for creation in action.creations)
    assert continued(action, on) == ({own} if in_its_way else {own, old})


# -- what is written in reconciler.yaml ------------------------------------------------------------


def settings(value: Any) -> list[tuple[int, float]]:
    """Take `policy.frequency`."""
    return [(f.calls, f.within) for f in TypeAdapter(Frequencies).validate_python(value)]


def test_one_limit_or_several() -> None:
    """One can be written without a list."""
    one = {"calls": Plain("3"), "within": Plain("7d")}
    assert settings(one) == settings([one]) == [(3, 7 * 86_400)]
    assert settings([one, {"calls": Plain("1"), "within": Plain("1h")}])[1] == (1, 3_600)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        Plain("3"),
        {"calls": Plain("0"), "within": Plain("7d")},
        {"calls": Plain("3")},
        {"within": Plain("7d")},
        {"calls": Plain("3"), "within": Plain("0s")},
        {"calls": Plain("3"), "within": Plain("401d")},
        {"calls": Plain("3"), "within": Plain("7d"), "per": Plain("number")},
        [{"calls": Plain("3"), "within": Plain("7d")}] * 21,
    ],
)
def test_a_slip_of_the_pen_is_an_error(wrong: Any) -> None:
    """No limit is lost because it was written wrongly."""
    with pytest.raises(ValidationError):
        settings(wrong)


# -- what a run writes -----------------------------------------------------------------------------


class Laid:
    """A store beside which files are laid."""

    def __init__(self) -> None:
        self.files: dict[str, bytes | None] = {}

    def beside(self) -> Iterable[tuple[str, bytes]]:
        """Give nothing."""
        return ()

    def lay(self, files: Mapping[str, bytes | None]) -> None:
        """Keep what was laid last."""
        self.files = dict(files)


def logged(*launches: Launch) -> tuple[CallLog, Laid]:
    """Give what a run keeps its calls in, and its store."""
    store = Laid()
    return CallLog(CallLedger(launches), KEY, store, 7 * DAY), store


def kept(log: CallLog) -> dict[str, list[int]]:
    """Give the ledger as it stands."""
    return {name: list(each.hashes) for name, each in log.ledger.launches.items()}


def test_an_intent_is_in_the_ledger_until_it_made_no_batch() -> None:
    """What is laid is what there is; an intent that came to nothing leaves nothing."""
    log, store = logged()
    log.intend("rk1_a", people(NUMBERS[:2]), None, NOW)
    log.lay(NOW)
    data = store.files["rk1_a.calls"]
    assert data is not None
    assert decode("rk1_a.calls", data, KEY.id) == log.ledger.launches["rk1_a"]
    log.laid()
    log.lay(NOW)
    assert store.files == {}
    log.withdraw("rk1_a")
    log.withdraw("rk1_a")
    log.lay(NOW)
    assert store.files == {"rk1_a.calls": None}
    assert kept(log) == {}


@pytest.mark.parametrize("order", list(permutations(("lay", "laid", "withdraw"))))
def test_a_store_that_failed(order: tuple[str, ...]) -> None:
    """What could not be stored is laid again, whatever happened in between."""
    log, store = logged()
    log.intend("rk1_a", people(NUMBERS[:2]), None, NOW)
    steps: dict[str, Callable[[], None]] = {
        "lay": lambda: log.lay(NOW),
        "laid": log.laid,
        "withdraw": lambda: log.withdraw("rk1_a"),
    }
    for step in order:
        steps[step]()
    assert kept(log) == {}
    log.lay(NOW)
    assert store.files.get("rk1_a.calls") is None


def test_another_attempt_counts_everybody_of_both() -> None:
    """The first may have arrived; when the second came to nothing, the first counts as before."""
    first = Launch("rk1_a", NOW - DAY, KEY.hashed(NUMBERS[:3]))
    log, _ = logged(first)
    log.intend("rk1_a", people(NUMBERS[2:5]), None, NOW)
    assert log.ledger.launches["rk1_a"] == Launch("rk1_a", NOW, KEY.hashed(NUMBERS[:5]))
    log.withdraw("rk1_a")
    assert log.ledger.launches == {"rk1_a": first}


def test_a_launch_counts_from_its_start() -> None:
    """One that starts later is kept for longer; a start that is over is no start."""
    log, _ = logged()
    log.intend("rk1_a", people(NUMBERS), NOW + 3 * DAY, NOW)
    log.intend("rk1_b", people(NUMBERS), NOW - 3 * DAY, NOW)
    assert [each.at for each in log.ledger.launches.values()] == [NOW + 3 * DAY, NOW]


def test_what_is_too_old_goes() -> None:
    """A launch goes when no limit can ask for it; one of this run, or of a later time, stays."""
    edge, old = launch("rk1_edge", NOW - 7 * DAY, 1), launch("rk1_old", NOW - 8 * DAY, 2)
    log, store = logged(edge, old, launch("rk1_late", NOW + 9 * DAY, 3))
    log.lay(NOW)
    assert store.files == {"rk1_old.calls": None}
    assert set(log.ledger.launches) == {"rk1_edge", "rk1_late"}
    log.lay(NOW - 30 * DAY)
    assert set(log.ledger.launches) == {"rk1_edge", "rk1_late"}
    log.intend("rk1_own", people(NUMBERS), None, NOW - 9 * DAY)
    log.lay(NOW)
    assert "rk1_own" in log.ledger.launches  # the clock was set forward; nothing else is at fault
