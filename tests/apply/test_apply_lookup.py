from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import structs
from msgspec.structs import replace

from reconciler.apply.facts import MOST_STRANGERS, gather, known_keys, wanted_keys
from reconciler.apply.lookup import SKEW, Lookup, Wanted, may_be
from reconciler.model import Lifecycle, Severity
from reconciler.observed import Batch, BatchContact, Campaign, Listing
from reconciler.plan.facts import Facts, Rules
from reconciler.state.document import RecordedBy, State
from tests.apply.doubles import FakeApi, ManualClock, ids
from tests.core.builders import (
    CAMPAIGN,
    LINEAGE,
    LONG_AGO,
    NOW,
    batch,
    created,
    creating,
    in_doubt,
    key_of,
    recorded,
    spec,
    specs,
    state,
)

SPEC = spec()
RECORD = creating(SPEC)
SECOND = timedelta(seconds=1)
WANTED = Wanted(RECORD.key, CAMPAIGN, RECORD.contacts, LONG_AGO)
STRANGER = Batch("bat_s", CAMPAIGN, "in_progress", 2, NOW, metadata={"team": "sales"})


def api_with(*batches: Batch) -> FakeApi:
    """Give an API that has these batches."""
    api = FakeApi(ManualClock())
    api.put(*batches)
    return api


@pytest.mark.parametrize(
    ("since", "made", "expected", "reason"),
    [
        (None, LONG_AGO, True, "a key without a time is looked for at every age"),
        (NOW, None, True, "a batch that tells no age may be any"),
        (
            NOW,
            NOW - SKEW,
            True,
            "clocks and places may differ so far",
        ),
        (NOW, NOW - SKEW - SECOND, False, "made before the key was first used"),
        (NOW, NOW + timedelta(days=9), True, "a given-up request may arrive late"),
    ],
)
def test_which_batches_may_be_the_one(
    since: object, made: object, *, expected: bool, reason: str
) -> None:
    """Only a batch that is surely older than the key's first use is left out."""
    row = Batch("b", created_at=made)  # type: ignore[arg-type]  # a table's values
    wanted = replace(WANTED, since=since)
    assert may_be(row, wanted) == expected, reason


def test_a_key_is_found_by_reading_the_batches_that_may_have_it() -> None:
    """Too old ones and known ones are not read."""
    old = batch(RECORD, "bat_old", age=timedelta(days=9))
    api = api_with(batch(RECORD, "bat_1", age=timedelta(hours=1)), STRANGER, old)
    lookup = Lookup(api, {"bat_s": "rk1_other"})
    sighting = lookup.look(CAMPAIGN, [WANTED])
    assert ids(sighting.found[RECORD.key]) == ["bat_1"]
    assert (sighting.absent, sighting.suspects, sighting.problem) == (frozenset(), {}, "")
    assert api.gets == ["bat_1"]


def test_no_time_proves_absence() -> None:
    """A clock that is days off hides no batch: those of every age are read before that is said."""
    odd = batch(RECORD, "bat_odd", age=timedelta(days=9))
    other = replace(STRANGER, batch_id="bat_old", created_at=LONG_AGO - timedelta(days=9))
    api = api_with(STRANGER, odd, other)
    wanted = replace(WANTED, since=NOW)
    assert Lookup(api, {}).look(CAMPAIGN, [wanted]).found == {}
    api.gets.clear()
    certain = replace(wanted, certain=True)
    sighting = Lookup(api, {}).look(CAMPAIGN, [certain])
    assert ids(sighting.found[RECORD.key]) == ["bat_odd"]
    assert sorted(api.gets) == ["bat_odd", "bat_old", "bat_s"]
    assert Lookup(api_with(other), {}).look(CAMPAIGN, [certain]).absent == {RECORD.key}


def test_a_row_that_carries_the_key_is_it_whatever_its_time() -> None:
    """There is nothing to save by leaving it out."""
    api = api_with()
    row = batch(RECORD, "bat_1", age=timedelta(days=9))
    rows = Listing(CAMPAIGN, (row,), complete=True)
    api.listing = lambda _campaign_id, **_sought: rows  # type: ignore[method-assign]  # a double of a double
    found = Lookup(api, {}).look(CAMPAIGN, [replace(WANTED, since=NOW)]).found
    assert ids(found[RECORD.key]) == ["bat_1"]


def test_what_was_read_is_not_read_again() -> None:
    """What is learned of a batch never changes."""
    api = api_with(STRANGER, batch(RECORD, "bat_1", age=timedelta(hours=1)))
    lookup = Lookup(api, {})
    assert lookup.look(CAMPAIGN, [WANTED]) == lookup.look(CAMPAIGN, [WANTED])
    assert sorted(api.gets) == ["bat_1", "bat_s"]
    lookup.learn("bat_1", RECORD.key)
    assert ids(lookup.look(CAMPAIGN, [WANTED]).found[RECORD.key]) == ["bat_1"]
    lookup.learn("bat_1", "")
    assert lookup.look(CAMPAIGN, [WANTED]).found == {}
    assert len(api.gets) == 2


def test_rows_that_carry_the_key_save_the_reading() -> None:
    """A list that shows metadata answers by itself."""
    api = api_with()
    row = batch(RECORD, "bat_1", age=timedelta(hours=1))
    read, unreadable = Lookup(api, {}).read([row])
    assert (read, unreadable, api.gets) == ([row], False, [])


def test_absence_is_shown_by_a_complete_look() -> None:
    """Every row was seen, every candidate read, and none of them has the key."""
    sighting = Lookup(api_with(STRANGER), {}).look(CAMPAIGN, [WANTED])
    assert sighting.absent == {RECORD.key}
    assert sighting.problem == ""


def test_what_keeps_a_look_from_being_complete() -> None:
    """Unread rows, unreadable batches and errors prove no absence, and are said."""
    incomplete = api_with()
    incomplete.complete = False
    vanished = api_with(STRANGER)
    vanished.gone.add("bat_s")
    silent = api_with()
    silent.broken.add(CAMPAIGN)
    unreadable = api_with(STRANGER)
    unreadable.broken.add("bat_s")
    for api in (incomplete, vanished, silent, unreadable):
        sighting = Lookup(api, {}).look(CAMPAIGN, [WANTED])
        assert sighting.absent == frozenset()
        assert sighting.problem
        assert sighting.found == {}


def test_a_list_without_a_known_batch_proves_nothing() -> None:
    """A list that lacks a batch of the same age is not the whole list."""
    wanted = replace(WANTED, witnesses=frozenset({"bat_w"}))
    sighting = Lookup(api_with(STRANGER), {}).look(CAMPAIGN, [wanted])
    assert sighting.absent == frozenset()
    assert "lacks one" in sighting.problem
    seen = Lookup(api_with(replace(STRANGER, batch_id="bat_w")), {}).look(CAMPAIGN, [wanted])
    assert seen.absent == {RECORD.key}


@pytest.mark.parametrize("total", [2, None, 3])
def test_a_batch_that_shows_no_metadata_is_a_suspect(total: int | None) -> None:
    """It may be the batch in doubt, whatever it counts; it is read anew each time."""
    api = api_with(replace(STRANGER, total_contacts=total))
    api.mute.add("bat_s")
    lookup = Lookup(api, {})
    for _ in range(2):
        sighting = lookup.look(CAMPAIGN, [WANTED])
        assert sighting.suspects == {RECORD.key: ("bat_s",)}
        assert sighting.absent == frozenset()
    assert api.gets == ["bat_s", "bat_s"]


@pytest.mark.parametrize(("total", "suspect"), [(2, True), (None, True), (3, False)])
def test_a_batch_of_empty_metadata_is_a_suspect_of_its_size(
    total: int | None, *, suspect: bool
) -> None:
    """An API may lose metadata; but others' batches have none either, and are of any size."""
    api = api_with(replace(STRANGER, total_contacts=total, metadata={}))
    sighting = Lookup(api, {}).look(CAMPAIGN, [WANTED])
    assert bool(sighting.suspects) == suspect
    assert (RECORD.key in sighting.absent) == (not suspect)


def test_absence_in_one_organisation_is_none_everywhere() -> None:
    """A filter that hides the batch does not make it absent."""
    ours = replace(STRANGER, metadata={"reconciler": {"key": RECORD.key}})
    everywhere = api_with(ours)
    lookup = Lookup(api_with(), {}, everywhere=everywhere.listing)
    sighting = lookup.look(CAMPAIGN, [WANTED])
    assert RECORD.key not in sighting.absent


def test_a_marker_kept_as_text_is_read() -> None:
    """Some APIs give every metadata value back as a text."""
    text = f'{{"key": "{RECORD.key}"}}'
    api = api_with(replace(STRANGER, metadata={"reconciler": text}))
    assert set(Lookup(api, {}).look(CAMPAIGN, [WANTED]).found) == {RECORD.key}


def test_several_keys_are_looked_for_in_one_listing() -> None:
    """Each key finds its own."""
    other = creating(spec("other", 2))
    api = api_with(batch(RECORD, "bat_1", age=SECOND), batch(RECORD, "bat_2", age=SECOND))
    api.put(batch(other, "bat_3", age=SECOND))
    sighting = Lookup(api, {}).look(
        CAMPAIGN, [WANTED, replace(WANTED, key=other.key), replace(WANTED, key="rk1_none")]
    )
    assert sorted(ids(sighting.found[RECORD.key])) == ["bat_1", "bat_2"]
    assert ids(sighting.found[other.key]) == ["bat_3"]
    assert sighting.absent == {"rk1_none"}
    assert len(api.listings) == 1


# -- facts ----------------------------------------------------------------------------------------


def facts(*of: object, on: State | None = None, api: FakeApi) -> Facts:
    """Gather what a plan needs."""
    chosen = specs(*of)  # type: ignore[arg-type]  # specs
    return gather(chosen, on or State(lineage=LINEAGE), api, Rules(), NOW, parallelism=2)


def test_an_unchanged_root_asks_for_drift_only() -> None:
    """One list a campaign, no batch and no contact, is read for what is as recorded."""
    api = api_with(STRANGER)
    made = facts(SPEC, on=state(welcome=recorded(of=SPEC)), api=api)
    assert made == Facts()
    assert (api.gets, api.listings) == ([], [CAMPAIGN])


def test_what_ended_for_good_is_not_asked_for() -> None:
    """A campaign in which nothing recorded can call any more is left in peace."""
    api = api_with(STRANGER)
    over = recorded(created(SPEC, cancelled_at=NOW), of=SPEC, lifecycle=Lifecycle.CANCELLED)
    facts(spec(lifecycle=Lifecycle.CANCELLED), on=state(welcome=over), api=api)
    assert (api.gets, api.listings) == ([], [])


def test_keys_to_look_for_are_in_doubt_or_watched() -> None:
    """Watching ends, and what was never in doubt is not looked for."""
    on = state(
        a=recorded(creating(spec("a", 1)), of=spec("a", 1)),
        b=recorded(created(spec("b", 2), watch_until=NOW + SECOND), of=spec("b", 2)),
        c=recorded(created(spec("c", 3), watch_until=NOW), of=spec("c", 3)),
        d=recorded(of=spec("d", 4)),
    )
    wanted = wanted_keys(on, NOW)
    assert [each.key for each in wanted] == [key_of(spec("a", 1)), key_of(spec("b", 2))]
    assert wanted[0].since == LONG_AGO


def test_batches_of_the_same_age_are_witnesses() -> None:
    """Those that the API itself named, in the same campaign, attempted at about the same time."""
    a, b, c, d, e = (spec(name, i) for i, name in enumerate("abcde"))
    elsewhere = spec("f", 9, campaign="cmp_b")
    on = state(
        a=recorded(creating(a), of=a),
        b=recorded(created(b, "bat_b"), of=b),
        c=recorded(created(c, "bat_c", attempted_at=NOW), of=c),
        d=recorded(structs.replace(created(d, "bat_d"), recorded_by=RecordedBy.RESOLVED), of=d),
        e=recorded(created(e, "bat_e", attempted_at=LONG_AGO + timedelta(minutes=59)), of=e),
        f=recorded(created(elsewhere, "bat_f"), of=elsewhere),
    )
    (wanted,) = wanted_keys(on, NOW)
    assert wanted.witnesses == {"bat_b", "bat_e"}


def test_known_ids_have_their_keys() -> None:
    """Second batches belong to the same key."""
    on = state(welcome=recorded(created(SPEC, "bat_1", duplicates=("bat_2",)), of=SPEC))
    assert known_keys(on) == {"bat_1": RECORD.key, "bat_2": RECORD.key}
    assert known_keys(in_doubt(SPEC)) == {}


def test_what_is_in_doubt_is_looked_for() -> None:
    """Found, absent or suspected: the plan is told."""
    api = api_with(batch(RECORD, "bat_1", age=timedelta(hours=1)))
    assert ids(facts(SPEC, on=in_doubt(SPEC), api=api).found[RECORD.key]) == ["bat_1"]
    assert facts(SPEC, on=in_doubt(SPEC), api=api_with()).absent == {RECORD.key}
    mute = api_with(replace(STRANGER))
    mute.mute.add("bat_s")
    assert facts(SPEC, on=in_doubt(SPEC), api=mute).suspects == {RECORD.key: ("bat_s",)}


def test_batches_of_a_new_name_are_found_in_the_campaign() -> None:
    """A state that was lost is noticed, by the names that batches carry."""
    marker = {"key": "rk1_lost", "digest": SPEC.requests[0].digest, "name": "welcome"}
    lost = replace(STRANGER, batch_id="bat_l", metadata={"reconciler": marker})
    other = replace(lost, batch_id="bat_o", metadata={"reconciler": {**marker, "name": "else"}})
    odd = replace(lost, batch_id="bat_x", metadata={"reconciler": {**marker, "name": ["welcome"]}})
    larger = replace(lost, batch_id="bat_n", total_contacts=3)
    api = api_with(STRANGER, lost, other, odd, larger)
    made = facts(SPEC, api=api)
    assert ids(made.existing["welcome"]) == ["bat_l", "bat_n"], "whatever their contacts"
    assert ids(made.same_contents[SPEC.requests[0].digest]) == ["bat_l", "bat_o", "bat_x", "bat_n"]
    assert made.campaigns == {CAMPAIGN: Campaign(CAMPAIGN, timezone="UTC")}


def test_batches_of_another_root_are_none_of_ours() -> None:
    """Two roots may use the same names in one campaign; the same contents in both are told."""
    digest = SPEC.requests[0].digest
    marker = {"key": "rk1_1", "digest": digest, "name": "welcome"}
    ours, theirs, older = (
        replace(STRANGER, batch_id=batch_id, metadata={"reconciler": {**marker, **more}})
        for batch_id, more in (
            ("bat_o", {"root": "batches/production"}),
            ("bat_t", {"root": "batches/staging"}),
            ("bat_u", {}),
        )
    )
    api = api_with(ours, theirs, older)
    made = gather(
        specs(SPEC),
        State(lineage=LINEAGE),
        api,
        Rules(),
        NOW,
        parallelism=2,
        root=lambda: "batches/production",
    )
    assert ids(made.existing["welcome"]) == ["bat_o", "bat_u"]
    assert ids(made.same_contents[digest]) == ["bat_o", "bat_u"]
    (warning,) = made.diagnostics
    assert "batch bat_t, created from the root batches/staging" in warning.message
    assert "its 2 people are called by both" in warning.message


@pytest.mark.parametrize(
    ("theirs", "ours", "same"),
    [
        ("batches", "batches", True),
        ("batches/production", "production", True),  # one of them where git could not be asked
        ("production", "batches/production", True),
        ("batches", "calls/batches", True),  # moved into a directory
        (".", "batches", True),  # the top of a repository says nothing
        ("batches/staging", "batches/production", False),
        ("staging", "production", False),
        ("reproduction", "production", False),
    ],
)
def test_which_roots_may_be_the_same(theirs: str, ours: str, *, same: bool) -> None:
    """In doubt a batch is ours: to overlook it after a lost state would call people twice."""
    marker = {"key": "rk1_1", "digest": "v1:other", "name": "welcome", "root": theirs}
    api = api_with(replace(STRANGER, batch_id="bat_r", metadata={"reconciler": marker}))
    made = gather(
        specs(SPEC), State(lineage=LINEAGE), api, Rules(), NOW, parallelism=2, root=lambda: ours
    )
    assert ("welcome" in made.existing) is same


def test_only_so_many_strangers_are_read() -> None:
    """The newest are, and that there are more is said."""
    many = [
        replace(STRANGER, batch_id=f"bat_{i:03}", created_at=NOW - timedelta(minutes=i))
        for i in range(MOST_STRANGERS + 5)
    ]
    api = api_with(*many)
    made = facts(SPEC, api=api)
    assert sorted(api.gets) == [f"bat_{i:03}" for i in range(MOST_STRANGERS)]
    (warning,) = made.diagnostics
    assert "only 200" in warning.message


def test_who_is_in_a_batch_without_a_spec_is_read_once_for_new_specs() -> None:
    """Of a new spec's people the API says who was called; without a new one nobody asks."""
    api = api_with(replace(STRANGER, batch_id="bat_old"))
    on = state(old=recorded(created(spec("old", 5), "bat_old"), of=spec("old", 5)))
    assert facts(on=on, api=api).contacts == {}
    made = facts(SPEC, spec("more", 2), on=on, api=api)
    assert made.contacts == {"bat_old": ()}
    assert api.reads == ["bat_old"]
    api.broken.add("bat_old")
    made = facts(SPEC, on=on, api=api)
    assert made.contacts == {}
    assert "batch bat_old: the contacts do not answer" in [d.message for d in made.diagnostics]


def test_a_changed_spec_is_read_before_it_is_known_who_was_added() -> None:
    """Only if somebody was, the batches without a spec are read too; none is read twice."""
    was, added = spec("a", 1, n=2), spec("a", 1, n=3)
    api = api_with()
    old = recorded(created(spec("old", 5), "bat_old"), of=spec("old", 5))
    on = state(a=recorded(created(was, "bat_a"), of=was), old=old)
    api.put(Batch("bat_a", CAMPAIGN, "completed"), Batch("bat_old", CAMPAIGN, "completed"))
    everyone = tuple(
        BatchContact(f"c{i}", person["phone_number"], "completed")
        for i, person in enumerate(added.requests[0].contacts)
    )
    api.people = {"bat_a": everyone[:2]}
    facts(added, on=on, api=api)
    assert api.reads == ["bat_a", "bat_old"]
    api.reads.clear()
    api.people = {"bat_a": everyone}
    facts(added, on=on, api=api)
    assert api.reads == ["bat_a"]


def test_reads_that_fail_are_warnings() -> None:
    """The plan goes on with what could not be learned as unknown."""
    api = api_with()
    api.broken.add(CAMPAIGN)
    both = facts(SPEC, spec("other", 2), on=in_doubt(SPEC), api=api)
    assert (both.campaigns, both.absent) == ({}, frozenset())
    assert len(both.diagnostics) == 3
    assert {warning.severity for warning in both.diagnostics} == {Severity.WARNING}
    assert both.timezone(CAMPAIGN) is None


def test_a_campaign_that_does_not_exist_is_a_warning() -> None:
    """Creating in it will be rejected, and the warning says so before anything is sent."""
    api = api_with()
    api.gone.add(CAMPAIGN)
    (warning,) = facts(SPEC, api=api).diagnostics
    assert "knows no campaign" in warning.message
    assert warning.hint
