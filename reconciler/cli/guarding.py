"""The policy of one root, put together: its rules, those of its packs, what they look at."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, overload

from reconciler.cli.calls import limits_of, of_layer, open_frequency
from reconciler.model import LongContacts
from reconciler.policy.crowd import crowd_of
from reconciler.policy.frequency import Frequency
from reconciler.policy.guard import Guard
from reconciler.policy.judge import Layer
from reconciler.policy.numbers import locator
from reconciler.policy.suppression import Suppression
from reconciler.spec.locate import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from datetime import date, datetime
    from pathlib import Path

    from reconciler.cli.session import Session
    from reconciler.model import Contact, Request
    from reconciler.plan.actions import Creation, LeftOut
    from reconciler.policy.case import Case, Crowd
    from reconciler.policy.finding import Finding
    from reconciler.spec.config.policy import Policy
    from reconciler.state.document import State
    from reconciler.state.store import StateStore


def open_guard(session: Session, people: People | None = None) -> Guard:
    """Give the guard of a root. Without a policy it only minds what the specs say themselves."""
    layers = layers_of(session.settings.policy)
    return Guard(
        layers=layers,
        lists=people or People(session.root, layers),
        locate=partial(locate, session.root),
        organization_id=session.rules().organization_id,
        average_call=timedelta(seconds=session.settings.average_call),
    )


def guard_for(session: Session, store: StateStore, state: State) -> Guard:
    """Give the guard of a root whose state was just loaded: it can ask the ledger of calls too."""
    people = People.of(session)
    people.open_ledger(store, state, session.clock.now())
    return open_guard(session, people)


def layers_of(policy: Policy | None) -> tuple[Layer, ...]:
    """Give the layers of a policy: its own, and one for each pack it names."""
    if policy is None:
        return ()
    from reconciler.spec.config.packs import pack  # noqa: PLC0415 - only where there is a policy

    layers = [Layer(policy=policy)]
    for name in policy.packs:
        rules = pack(name)
        layers.append(
            Layer(
                policy=_knowing(rules.policy, policy),
                pack=f"{name} {rules.version}",
                regions=frozenset(rules.scope.regions),
                prefixes=rules.scope.prefixes,
                sources={
                    rule: f"{source}; {rules.notice}" for rule, source in rules.sources.items()
                },
            )
        )
    return tuple(layers)


def _knowing(rules: Policy, own: Policy) -> Policy:
    """Give a pack's rules the timezone that the root says is that of numbers of unknown place."""
    theirs, ours = rules.calling_hours, own.calling_hours
    if theirs is None or ours is None or ours.unknown_zone is None:
        return rules
    known = theirs.model_copy(update={"unknown_zone": theirs.unknown_zone or ours.unknown_zone})
    return rules.model_copy(update={"calling_hours": known})


class People:
    """What the rules know of single people; see `reconciler.policy.guard.Lists`.

    Do-not-call lists are read when the first launch is judged, and once. Without `secrets`, those
    that lie elsewhere or are encrypted are not opened.
    """

    def __init__(self, root: Path, layers: tuple[Layer, ...], *, secrets: bool = True) -> None:
        self._root = root
        self._layers = layers
        self._secrets = secrets
        self.frequency = _unasked(layers)

    @classmethod
    def of(cls, session: Session, *, secrets: bool = True) -> People:
        """Give what is known of the people of a root."""
        return cls(session.root, layers_of(session.settings.policy), secrets=secrets)

    def open_ledger(self, store: StateStore, state: State, now: datetime) -> None:
        """Open the ledger of calls that lies beside the state that a store loaded last.

        Until then nobody can say how often anybody was called, and limits on that refuse.
        """
        self.frequency = open_frequency(self._layers, store, state, now)

    @cached_property
    def _suppression(self) -> Suppression:
        own = next((layer for layer in self._layers if not layer.pack), None)
        if own is None or not own.policy.suppression:
            return Suppression()
        from reconciler.spec.lists.suppression_lists import (  # noqa: PLC0415 - only where there is one
            read_suppressions,
        )

        lists = read_suppressions(
            self._root, str(self._root), own.policy.suppression, secrets=self._secrets
        )
        return Suppression(lists)

    def crowds(self, requests: Sequence[Request]) -> tuple[Crowd, ...]:
        """Count people, as far as each layer asks."""
        lists = [request.contacts for request in requests]
        return tuple(
            crowd_of(
                lists,
                regions=_asks_for_regions(layer.policy),
                zones=_asks_for_zones(layer.policy),
                variables=layer.policy.call_variables is not None,
                within=_within(layer),
            )
            for layer in self._layers
        )

    def scrubs(self, campaign_id: str) -> tuple[date, ...]:
        """Give the days of the do-not-call lists that are for a campaign and can be read."""
        return tuple(
            each.drawn
            for each in self._suppression.lists
            if each.drawn is not None and each.is_for(campaign_id) and not each.problems
        )

    def findings(
        self, case: Case, requests: Sequence[Request], besides: Container[str] = ()
    ) -> Iterable[tuple[Layer | None, Finding]]:
        """Say which of these people may not be called; without requests, which lists are too old.

        Lists do not change while they are held, so who is on one is looked up once.
        """
        own = next((layer for layer in self._layers if not layer.pack), None)
        contacts = [request.contacts for request in requests]
        found = [(own, each) for each in self._suppression.findings(case, contacts)]
        if not requests:
            return found  # who was called how often is part of the state that was planned against
        for layer in self._layers:
            limited = of_layer(self.frequency, layer)
            theirs = [_selected(each, _within(layer)) for each in contacts]
            if limited.limits and (any(theirs) or not layer.pack):
                found += ((layer, each) for each in limited.findings(case, theirs, besides))
        return found

    def launched(self, case: Case, creations: Iterable[Creation]) -> None:
        """Count a launch of the plan that nothing refuses, for those that come after it."""
        contacts = {each.key: each.request.contacts for each in creations}
        with suppress(OSError):  # it was read just now, and what cannot be sent calls nobody
            self.frequency.launched(case, contacts)

    def without(
        self, campaign_id: str, contacts: Sequence[Contact], *, readable: bool = False
    ) -> tuple[Sequence[Contact], tuple[LeftOut, ...]]:
        """Give the contacts without those whom a list leaves out, and how many each list does.

        Raises `Refused` where a list cannot be asked; with `readable` only the others are.
        Safe to call in several threads at once.
        """
        return self._suppression.without(campaign_id, contacts, readable=readable)


def _unasked(layers: tuple[Layer, ...]) -> Frequency:
    limits = tuple(limit for layer in layers for limit in limits_of(layer.policy))
    if not limits:
        return Frequency()
    return Frequency(limits, problem="nobody looked how often people were called")


class _Numbers(Sequence["Contact"]):
    """Some of a list's contacts, of whom only the numbers are asked for."""

    def __init__(self, numbers: list[str]) -> None:
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Contact: ...
    @overload
    def __getitem__(self, index: slice) -> _Numbers: ...
    def __getitem__(self, index: int | slice) -> Contact | _Numbers:
        if isinstance(index, slice):
            return _Numbers(self._numbers[index])
        return {"phone_number": self._numbers[index], "call_variables": {}}


def _selected(
    contacts: Sequence[Contact], within: Callable[[str], bool] | None
) -> Sequence[Contact]:
    """Give the contacts that a layer is about."""
    if within is None:
        return contacts
    if isinstance(contacts, LongContacts):
        return _Numbers([n for block in contacts.numbers() for n in filter(within, block)])
    return _Numbers([c["phone_number"] for c in contacts if within(c["phone_number"])])


def _asks_for_zones(policy: Policy) -> bool:
    hours = policy.calling_hours
    return hours is not None and hours.rules.needs_zones


def _asks_for_regions(policy: Policy) -> bool:
    hours = policy.calling_hours
    return policy.countries is not None or (hours is not None and hours.rules.needs_regions)


def _within(layer: Layer) -> Callable[[str], bool] | None:
    """Tell whom a layer is about; None for everybody.

    Where countries cannot be told, a pack of some country is about everybody: it fails closed.
    """
    if layer.prefixes:
        return lambda number: number.startswith(layer.prefixes)
    find = locator() if layer.regions else None
    if find is None:
        return None
    return lambda number: find(number).region in layer.regions
