"""The policy of one root, put together: its rules, those of its packs, what they look at."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from reconciler.policy.case import Crowd
from reconciler.policy.guard import Guard
from reconciler.policy.judge import Layer
from reconciler.spec.load import locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.cli.session import Session
    from reconciler.model import Contact, Request
    from reconciler.plan.actions import LeftOut
    from reconciler.policy.case import Case
    from reconciler.policy.finding import Finding
    from reconciler.spec.policy import Policy


def open_guard(session: Session) -> Guard:
    """Give the guard of a root. Without a policy it only minds what the specs say themselves."""
    policy = session.settings.policy
    layers = (Layer(policy=policy),) if policy is not None else ()
    return Guard(
        layers=layers,
        lists=_People(tuple(layer.policy for layer in layers)),
        locate=partial(locate, session.root),
        organization_id=session.rules().organization_id,
    )


class _People:
    """What the rules know of single people; see `reconciler.policy.guard.Lists`."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._variables = any(policy.call_variables for policy in policies)

    def crowd(self, requests: Sequence[Request]) -> Crowd:
        """Count people, as far as any rule asks."""
        variables: Counter[str] = Counter()
        if self._variables:
            for request in requests:
                for contact in request.contacts:
                    variables.update(
                        name
                        for name, value in contact["call_variables"].items()
                        if value not in {None, ""}
                    )
        people = sum(len(request.contacts) for request in requests)
        return Crowd(people=people, variables=variables)

    def findings(self, case: Case, requests: Sequence[Request]) -> Iterable[Finding]:  # noqa: ARG002 - the port's
        """Say which of these people may not be called."""
        return ()

    def without(
        self,
        campaign_id: str,  # noqa: ARG002 - the port's
        contacts: Sequence[Contact],
    ) -> tuple[Sequence[Contact], tuple[LeftOut, ...]]:
        """Give the contacts without those whom a list leaves out."""
        return contacts, ()
