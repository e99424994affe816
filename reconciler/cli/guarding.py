"""The policy of one root, put together: its rules, those of its packs, what they look at."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from reconciler.policy.crowd import crowd_of
from reconciler.policy.guard import Guard
from reconciler.policy.judge import Layer
from reconciler.policy.numbers import locator
from reconciler.policy.suppression import Suppression
from reconciler.spec.load import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date
    from pathlib import Path

    from reconciler.cli.session import Session
    from reconciler.model import Contact, Request
    from reconciler.plan.actions import LeftOut
    from reconciler.policy.case import Case, Crowd
    from reconciler.policy.finding import Finding
    from reconciler.spec.policy import Policy


def open_guard(session: Session, *, secrets: bool = True) -> Guard:
    """Give the guard of a root. Without a policy it only minds what the specs say themselves.

    Without `secrets`, do-not-call lists that lie elsewhere or are encrypted are not opened.
    """
    layers = layers_of(session.settings.policy)
    return Guard(
        layers=layers,
        lists=People(session.root, layers, secrets=secrets),
        locate=partial(locate, session.root),
        organization_id=session.rules().organization_id,
        average_call=timedelta(seconds=session.settings.average_call),
    )


def layers_of(policy: Policy | None) -> tuple[Layer, ...]:
    """Give the layers of a policy: its own, and one for each pack it names."""
    if policy is None:
        return ()
    from reconciler.spec.packs import pack  # noqa: PLC0415 - only where there is a policy

    layers = [Layer(policy=policy)]
    for name in policy.packs:
        rules = pack(name)
        layers.append(
            Layer(
                policy=rules.policy,
                pack=f"{name} {rules.version}",
                regions=frozenset(rules.scope.regions),
                prefixes=rules.scope.prefixes,
                sources=rules.sources,
            )
        )
    return tuple(layers)


class People:
    """What the rules know of single people; see `reconciler.policy.guard.Lists`.

    Do-not-call lists are read when the first launch is judged, and once.
    """

    def __init__(self, root: Path, layers: tuple[Layer, ...], *, secrets: bool) -> None:
        self._root = root
        self._layers = layers
        self._secrets = secrets

    @cached_property
    def _suppression(self) -> Suppression:
        own = next((layer for layer in self._layers if not layer.pack), None)
        if own is None or not own.policy.suppression:
            return Suppression()
        from reconciler.spec.suppression_lists import (  # noqa: PLC0415 - only where there is one
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
                zones=layer.policy.calling_hours is not None,
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
        self, case: Case, requests: Sequence[Request]
    ) -> Iterable[tuple[Layer | None, Finding]]:
        """Say which of these people may not be called; without requests, which lists are too old.

        Lists do not change while they are held, so who is on one is looked up once.
        """
        own = next((layer for layer in self._layers if not layer.pack), None)
        contacts = [request.contacts for request in requests]
        return [(own, each) for each in self._suppression.findings(case, contacts)]

    def without(
        self, campaign_id: str, contacts: Sequence[Contact]
    ) -> tuple[Sequence[Contact], tuple[LeftOut, ...]]:
        """Give the contacts without those whom a list leaves out, and how many each list does.

        Raises `Refused` where a list cannot be asked. Safe to call in several threads at once.
        """
        return self._suppression.without(campaign_id, contacts)


def _asks_for_regions(policy: Policy) -> bool:
    hours = policy.calling_hours
    return policy.countries is not None or (hours is not None and bool(hours.holidays))


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
