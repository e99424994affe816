"""Drafts of actions: what every kind of them has in common, and the last doubts before a create."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.digest import request_key
from reconciler.model import Lifecycle
from reconciler.plan.actions import AT_ONCE, Action, ActionKind, Creation, Reason, Refusal
from reconciler.spec.schedule import FIRST_TIMEZONE, is_past, past_diagnostic, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from reconciler.model import Request, Spec
    from reconciler.plan.facts import Facts, Rules
    from reconciler.state.document import RequestRecord, State
    from reconciler.state.index import Index


class Drafting(Struct, frozen=True):
    """Drafts actions against one state. `recorded` is all of it, also what is left unread."""

    state: State
    facts: Facts
    rules: Rules
    now: datetime
    recorded: Index

    def action(self, kind: ActionKind, spec: Spec, reason: Reason) -> Action:
        """Draft an action about a spec."""
        start = spec.requests[0].scheduled_start
        timezone = self.facts.timezone(spec.campaign_id)
        return Action(
            kind=kind,
            name=spec.name,
            reason=reason,
            campaign_id=spec.campaign_id,
            contacts=spec.contacts,
            spec=spec,
            scheduled_start=start,
            starts_at=resolve(start, timezone)[0] if start else None,
            arm_delay=AT_ONCE if start else self.rules.arm_delay,
        )

    def blocked(self, spec: Spec, reason: Reason, message: str, hint: str) -> Action:
        """Draft a refusal."""
        action = self.action(ActionKind.BLOCKED, spec, reason)
        return replace(action, message=message, hint=hint)

    def create(
        self,
        spec: Spec,
        requests: Sequence[Request],
        generation: int,
        reason: Reason,
        *,
        kind: ActionKind = ActionKind.CREATE,
        calls: bool = True,
        message: str = "",
        again: Mapping[int, RequestRecord] | None = None,
    ) -> Action:
        """Draft what rings phones, unless the spec does not want it, or its start is over.

        `again` holds parts that were in doubt and are certainly not created. Where nobody is left
        to call, without `calls`, a start may be over.
        """
        if spec.lifecycle is not Lifecycle.ACTIVE:
            return replace(
                self.action(ActionKind.NONE, spec, Reason.NOT_WANTED),
                generation=generation,
                message=f"lifecycle is {spec.lifecycle} and no batch exists; none is created",
            )
        timezone = self.facts.timezone(spec.campaign_id)
        if calls and any(
            past_diagnostic(spec, request, self.now, timezone) for request in requests
        ):
            late = self.blocked(
                spec,
                Reason.STARTS_IN_THE_PAST,
                f"scheduled_start {requests[0].scheduled_start} is over, and a batch created now "
                "would call at once",
                "set a scheduled_start in the future, or remove it to call at once",
            )
            return replace(late, refusal=Refusal.MISTAKE)
        unknown = timezone is None and not self.facts.offline
        if calls and unknown and self._may_be_past(requests):
            return self.blocked(
                spec,
                Reason.START_NOT_KNOWN,
                f"scheduled_start {requests[0].scheduled_start} may be over: it is in the "
                "campaign's timezone, and the campaign cannot be read",
                "run again when the API shows the campaign, or write the time with `Z`",
            )
        earlier = again or {}
        creations = tuple(
            Creation(
                request,
                earlier[request.part].key
                if request.part in earlier
                else self._key(spec, request, generation),
                earlier.get(request.part),
            )
            for request in requests
        )
        return replace(
            self.action(kind, spec, reason),
            generation=generation,
            creations=creations,
            message=message,
        )

    def free_generation(self, spec: Spec, after: int) -> int:
        """Give the number of a new generation: no key is ever used for two batches.

        A record that was moved to another name keeps the keys of its first one.
        """
        generation = after + 1
        while any(
            self.recorded.has_key(self._key(spec, request, generation)) for request in spec.requests
        ):
            generation += 1
        return generation

    def _may_be_past(self, requests: Sequence[Request]) -> bool:
        return any(
            request.scheduled_start is not None
            and is_past(request.scheduled_start, FIRST_TIMEZONE, self.now)
            for request in requests
        )

    def _key(self, spec: Spec, request: Request, generation: int) -> str:
        return request_key(
            lineage=self.state.lineage,
            name=spec.name,
            generation=generation,
            part=request.part,
            digest=request.digest,
        )
