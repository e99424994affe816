"""Asking the API what the plan needs to know, and nothing more.

An unchanged root costs one list of each campaign, to tell of drift. A read that fails never stops
the plan: it becomes a warning, and what could not be learned is planned for as unknown.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from reconciler.api.reads import TokenRefusedError
from reconciler.apply.concurrent import concurrently
from reconciler.apply.histories import read_histories
from reconciler.apply.lookup import Lookup, Sighting, Wanted
from reconciler.errors import ApiError
from reconciler.model import Diagnostic, Severity
from reconciler.observed import Campaign
from reconciler.plan.actions import ActionKind
from reconciler.plan.facts import Facts
from reconciler.plan.former import to_ask
from reconciler.plan.history import is_cancelled, made
from reconciler.plan.planner import make_plan
from reconciler.plan.settling import is_looked_for
from reconciler.state.document import RecordedBy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from reconciler.model import SpecSet
    from reconciler.observed import Batch, Listing
    from reconciler.plan.actions import Plan
    from reconciler.plan.facts import Rules
    from reconciler.ports import BatchApi
    from reconciler.state.document import NameRecord, RequestRecord, State

Answer = TypeVar("Answer")

SAME_AGE = timedelta(hours=1)
"""Batches created so close to each other are in the same lists."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)
MOST_STRANGERS = 200
"""How many unknown batches of a campaign are read to find out whether the state forgot them."""


def known_keys(state: State) -> dict[str, str]:
    """Map every recorded batch id, those of duplicates included, to its key."""
    known = {}
    for _, _, request in state.requests():
        if request.batch_id:
            known[request.batch_id] = request.key
        known.update(dict.fromkeys(request.duplicates, request.key))
    return known


def wanted_keys(state: State, now: datetime) -> list[Wanted]:
    """List the keys to look for: in doubt, or watched for a batch that arrives late."""
    looked_for = [
        (generation, request)
        for record in state.batches.values()
        for generation in record.generations
        for request in generation.requests
        if (request.watch_until is not None or request.in_doubt) and is_looked_for(request, now)
    ]
    if not looked_for:
        return []
    made: dict[str, list[RequestRecord]] = defaultdict(list)
    for _, generation, request in state.requests():
        if request.recorded_by is RecordedBy.CREATED:
            made[generation.campaign_id].append(request)
    return [
        Wanted(
            request.key,
            generation.campaign_id,
            request.contacts,
            request.first_attempted_at,
            frozenset(
                str(each.batch_id)
                for each in made[generation.campaign_id]
                if abs(each.attempted_at - request.first_attempted_at) < SAME_AGE
            ),
            certain=request.in_doubt,
        )
        for generation, request in looked_for
    ]


def gather(
    specs: SpecSet,
    state: State,
    api: BatchApi,
    rules: Rules,
    now: datetime,
    *,
    parallelism: int,
    everywhere: Callable[[str], Listing] | None = None,
    root: Callable[[], str] | None = None,
) -> Facts:
    """Ask the API for the campaigns and batches that bear on what there is to do.

    `root` names the batches root: batches that say they are another root's are none of ours.
    """
    draft = make_plan(specs, state, Facts(offline=True), rules, now, meetings=False)
    lookup = Lookup(api, known_keys(state), parallelism=parallelism, everywhere=everywhere)
    gatherer = _Gatherer(api, lookup, parallelism)
    sizes, recorded = _sizes_of_new(draft, state), _recorded_batches(state)
    listings = {**recorded, **dict.fromkeys(sizes)}
    gatherer.ask({action.campaign_id for action in draft.pending}, listings)
    campaigns = gatherer.campaigns()
    sightings = gatherer.look(wanted_keys(state, now))
    strangers = gatherer.strangers(sizes)
    if root is not None and strangers:
        strangers = gatherer.ours(strangers, root(), draft)
    told = {batch.batch_id: batch for batch in gatherer.recorded(recorded)}
    # Whether a person paused a batch, or its campaign is paused, is told apart by the campaign.
    paused = {b.campaign_id for b in told.values() if b.status == "paused" and b.campaign_id}
    unknown = paused.difference(campaigns)
    if unknown:
        gatherer.ask(unknown, {})
        campaigns |= {each: of for each, of in gatherer.known().items() if each in unknown}
    facts = Facts(
        campaigns=campaigns,
        found={key: found for s in sightings for key, found in s.found.items()},
        absent=frozenset(key for s in sightings for key in s.absent),
        suspects={key: ids for s in sightings for key, ids in s.suspects.items()},
        existing=_grouped(strangers, "name"),
        same_contents=_grouped(strangers, "digest"),
        batches=told,
    )
    # What was in doubt and is found may have a changed spec: only now can that be seen.
    settled = make_plan(specs, state, facts, rules, now, meetings=False)
    facts = gatherer.with_people(facts, _earlier(settled, state))
    # Who was added to a changed spec is known only now, and whose batches that bears on.
    facts = gatherer.with_people(facts, to_ask(settled.actions, specs, state, facts, now))
    return replace(facts, diagnostics=tuple(gatherer.warnings))


def _earlier(plan: Plan, state: State) -> list[str]:
    """List the batches whose people bear on whom a changed spec calls."""
    ids = []
    # A spec may be renamed and changed at once, and its record is under the old name until then.
    moved = {action.name: action.moved_from for action in plan.actions if action.moved_from}
    for action in plan.actions:
        if action.kind is ActionKind.REPLACE:
            record = state.batches[moved.get(action.name, action.name)]
            ids += [each.batch_id for each in made(record, action.generation)]
        if action.kind is ActionKind.ADOPT:
            ids += [adoption.batch.batch_id for adoption in action.adoptions]
    changed = {action.name for action in plan.actions if action.kind is ActionKind.REPLACE}
    return ids if changed else []


def _is_new(record: NameRecord | None) -> bool:
    """Whether nothing is recorded under a name, but for what certainly made no batch."""
    return record is None or all(request.released_at for request in record.current.requests)


def _grouped(batches: Iterable[Batch], by: str) -> dict[str, tuple[Batch, ...]]:
    """Group batches by an entry of our marker in their metadata; those without it are left out."""
    groups: dict[str, list[Batch]] = defaultdict(list)
    for batch in batches:
        value = (batch.marker or {}).get(by)
        if isinstance(value, str):
            groups[value].append(batch)
    return {value: tuple(group) for value, group in groups.items()}


def _recorded_batches(state: State) -> dict[str, set[str]]:
    """Give the batches of recorded names that may still call, by campaign."""
    batches: dict[str, set[str]] = defaultdict(set)
    for record in state.batches.values():
        for generation in record.generations:
            for request in generation.requests:
                if request.batch_id is not None and not is_cancelled(request):
                    batches[generation.campaign_id].add(request.batch_id)
    return batches


def _sizes_of_new(draft: Plan, state: State) -> dict[str, set[int | None]]:
    """Give how many contacts the requests have that are about to be created, by campaign.

    Only those of names that the state does not know.
    """
    sizes: dict[str, set[int | None]] = defaultdict(set)
    for action in draft.actions:
        if action.kind is ActionKind.CREATE and _is_new(state.record(action.name)):
            sizes[action.campaign_id].update(len(c.request.contacts) for c in action.creations)
    return sizes


class _Gatherer:
    """Asks, and says in words what was not answered. `ask` comes first."""

    def __init__(self, api: BatchApi, lookup: Lookup, parallelism: int) -> None:
        self._api = api
        self._lookup = lookup
        self._parallelism = parallelism
        self._campaigns: dict[str, Campaign | ApiError | None] = {}
        self._listings: dict[str, Listing | ApiError] = {}
        self.warnings: list[Diagnostic] = []

    def ask(self, campaigns: Iterable[str], listings: Mapping[str, Collection[str] | None]) -> None:
        """Ask for campaigns, and for the batches of some: those that are sought, or all (None)."""

        def campaign(campaign_id: str) -> None:
            self._campaigns[campaign_id] = _answer(partial(self._api.campaign, campaign_id))

        def listing(campaign_id: str, sought: Collection[str] | None) -> None:
            listed = partial(self._api.listing, campaign_id, sought=sought)
            self._listings[campaign_id] = _answer(listed)

        questions = [
            *(partial(campaign, each) for each in sorted(campaigns)),
            *(partial(listing, each, sought) for each, sought in sorted(listings.items())),
        ]
        concurrently(lambda question: question(), questions, self._parallelism)

    def known(self) -> dict[str, Campaign]:
        """Give the campaigns that the API knows, and warn of none."""
        return {k: each for k, each in self._campaigns.items() if isinstance(each, Campaign)}

    def campaigns(self) -> dict[str, Campaign]:
        campaigns = {}
        for campaign_id, answer in sorted(self._campaigns.items()):
            if isinstance(answer, ApiError):
                self.warn(f"campaign {campaign_id}: {answer.message}", answer.hint)
            elif answer is None:
                self.warn(
                    f"the API knows no campaign {campaign_id}; creating a batch in it will be "
                    "rejected",
                    "check campaign_id in the spec, and whose token GRAINE_API_KEY is",
                )
            else:
                campaigns[campaign_id] = answer
        return campaigns

    def look(self, wanted: list[Wanted]) -> list[Sighting]:
        by_campaign: dict[str, list[Wanted]] = defaultdict(list)
        for each in wanted:
            by_campaign[each.campaign_id].append(each)
        sightings = []
        for campaign_id, keys in sorted(by_campaign.items()):
            sighting = self._lookup.look(campaign_id, keys)
            if sighting.problem:
                self.warn(f"campaign {campaign_id}: {sighting.problem}", "")
            sightings.append(sighting)
        return sightings

    def recorded(self, wanted: Mapping[str, set[str]]) -> list[Batch]:
        """Give recorded batches as the API lists them, to tell where they drifted."""
        found: list[Batch] = []
        for campaign_id, ids in sorted(wanted.items()):
            listing = self._listings[campaign_id]
            if isinstance(listing, ApiError):
                self.warn(
                    f"campaign {campaign_id}: could not look for drift: {listing.message}",
                    listing.hint,
                )
            else:
                found.extend(row for row in listing.rows if row.batch_id in ids)
        return found

    def strangers(self, sizes: Mapping[str, set[int | None]]) -> list[Batch]:
        """Find batches of names that are about to be created and that the state does not know.

        This is the net below a lost state. Those of as many contacts as a new spec has are read
        first, then the newest.
        """
        found = concurrently(self._strangers_of, sorted(sizes.items()), self._parallelism)
        return [batch for batches in found for batch in batches]

    def ours(self, strangers: list[Batch], root: str, draft: Plan) -> list[Batch]:
        """Leave out the batches of other roots, and warn of one that is the same as a new spec."""
        new = {c.request.digest: action for action in draft.actions for c in action.creations}
        for batch in strangers:
            if not _may_be_of(root, batch) and (same := new.get(batch.digest or "")):
                self.warn(
                    f"{same.name} has exactly the same contacts and fields as batch "
                    f"{batch.batch_id}, created from the root {batch.root}: its "
                    f"{len(same.creations[0].request.contacts):,} people are called by both",
                    "remove one of the two specs, unless this is meant",
                )
        return [batch for batch in strangers if _may_be_of(root, batch)]

    def _strangers_of(self, campaign: tuple[str, set[int | None]]) -> list[Batch]:
        campaign_id, sizes = campaign
        try:
            listing = self._listings[campaign_id]
            if isinstance(listing, ApiError):
                raise listing
            if not listing.complete:
                self.warn(
                    f"campaign {campaign_id}: the list of batches could not be read to its end, so "
                    "one of a new spec that the state does not know would not be seen",
                    "",
                )
            rows = self._lookup.unknown(listing.rows)
            rows.sort(key=lambda row: row.created_at or LONG_AGO, reverse=True)
            rows.sort(key=lambda row: row.total_contacts not in sizes)
            if len(rows) > MOST_STRANGERS:
                self.warn(
                    f"campaign {campaign_id} has {len(rows)} batches the state does not know; only "
                    f"{MOST_STRANGERS} were checked for having been created from these specs",
                    "",
                )
            return self._lookup.read(rows[:MOST_STRANGERS])[0]
        except ApiError as error:
            self.warn(
                f"campaign {campaign_id}: could not check whether a batch of a new spec exists "
                f"already: {error.message}",
                error.hint,
            )
            return []

    def with_people(self, facts: Facts, batch_ids: Iterable[str]) -> Facts:
        """Give what is known with who is in some batches, as far as the API tells."""
        read = read_histories(self._api, batch_ids, facts.batches, parallelism=self._parallelism)
        for message, hint in read.problems:
            self.warn(message, hint)
        return replace(
            facts,
            batches={**facts.batches, **read.batches},
            contacts={**facts.contacts, **read.contacts},
        )

    def warn(self, message: str, hint: str) -> None:
        self.warnings.append(Diagnostic(Severity.WARNING, "", 0, 0, "", message, hint))


def _may_be_of(root: str, batch: Batch) -> bool:
    """Whether a batch may have been created from a root: its marker names it, or none.

    A root is known by less of its path where git cannot be asked, and by more once it is moved into
    a directory. Such names count as the same: to leave out a batch of ours could call people twice.
    """
    theirs = batch.root
    if theirs is None or theirs == root or "." in {theirs, root}:
        return True
    return root.endswith(f"/{theirs}") or theirs.endswith(f"/{root}")


def _answer(ask: Callable[[], Answer]) -> Answer | ApiError:
    """Give the API's answer, or why there is none. Raises `TokenRefusedError`: all is in vain."""
    try:
        return ask()
    except TokenRefusedError:
        raise
    except ApiError as error:
        return error
