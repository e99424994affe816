"""How `plan` and `apply` come to the same plan: read, ask, decide."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.errors import Refused
from reconciler.model import Lifecycle
from reconciler.plan.facts import Facts
from reconciler.plan.planner import make_plan
from reconciler.plan.settling import is_looked_for
from reconciler.state.summary import lively

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.api.client import HttpBatchApi
    from reconciler.cli.session import Session
    from reconciler.model import Spec, SpecSet
    from reconciler.plan.actions import Plan
    from reconciler.plan.facts import Rules
    from reconciler.policy.guard import Guard
    from reconciler.state.document import State
    from reconciler.state.store import StateStore


def plan_of_nothing(session: Session, specs: SpecSet, state: State, rules: Rules) -> Plan | None:
    """Give the plan of a root in which all is as recorded: nothing has to be asked for it.

    None where there is something to do or to find out. It saves opening the API, which is most of
    what such a plan would cost.
    """
    now = session.clock.now()
    if not specs.files or any(_asks_for_more(spec, state) for spec in specs.specs):
        return None
    if _is_any_looked_for(state, now):
        return None
    draft = make_plan(specs, state, Facts(offline=True), rules, now)
    return None if draft.pending else replace(draft, offline=False)


def _asks_for_more(spec: Spec, state: State) -> bool:
    """Whether a spec is new or changed and wanted: then no plan is needed to know there is work."""
    record = state.record(spec.name)
    as_recorded = record is not None and record.current.of == spec.digest
    return spec.lifecycle is Lifecycle.ACTIVE and not as_recorded


def _is_any_looked_for(state: State, now: datetime) -> bool:
    """Whether the API is to be asked for any request."""
    return any(
        is_looked_for(request, now)
        for _, record in lively(state.batches)
        for generation in record.generations
        for request in generation.requests
        if request.watch_until is not None or request.in_doubt
    )


def plan_with(
    session: Session,
    specs: SpecSet,
    state: State,
    rules: Rules,
    *,
    api: HttpBatchApi | None,
    parallelism: int,
    store: StateStore,
    guard: Guard | None = None,
) -> Plan:
    """Plan against what the API says now; without an API, as if nobody could be asked.

    `store` is what loaded the state. What the root's policy refuses is blocked; `guard` is the
    policy, opened here if not given.
    Raises `Refused` for a root without specs that has recorded batches.
    """
    if state.batches and not specs.files:
        from reconciler.render.words import counted  # noqa: PLC0415 - for this error

        recorded = counted(len(state.batches), "recorded batch")
        raise Refused(
            f"{session.root} has no spec at all, but {recorded}",
            hint="is this the right directory, and the whole checkout? Nothing is taken for "
            "removed",
        )
    clock = session.clock
    if api is None:
        plan = make_plan(specs, state, Facts(offline=True), rules, clock.now())
        return _reviewed(session, plan, (store, state), guard, clock.now())
    # Importing what asks takes longer than a plan that asks nothing.
    from reconciler.apply.facts import gather  # noqa: PLC0415 - as said above
    from reconciler.cli.progress import heartbeat  # noqa: PLC0415 - as above

    with heartbeat("asking the API what exists"):
        facts = gather(
            specs,
            state,
            api,
            rules,
            clock.now(),
            parallelism=parallelism,
            everywhere=api.listing_everywhere if api.filters else None,
            root=lambda: session.root_name,
        )
    # By the slower of the two clocks an attempt is younger: it is not given up too early. And
    # the questions took time, so a start may have passed meanwhile.
    now = clock.now() + min(api.least_skew, timedelta(0))
    plan = make_plan(specs, state, facts, rules, now)
    # The policy goes by the API's clock, because that is what calls go out by.
    return _reviewed(session, plan, (store, state), guard, clock.now() + api.skew)


def _reviewed(
    session: Session,
    plan: Plan,
    recorded: tuple[StateStore, State],
    guard: Guard | None,
    now: datetime,
) -> Plan:
    """Give the plan as the policy leaves it. A plan that launches nothing needs none opened."""
    if guard is None:
        if not any(action.creations for action in plan.actions):
            return plan
        from reconciler.cli.guarding import guard_for  # noqa: PLC0415 - only for a launch

        guard = guard_for(session, *recorded)
    return guard.review(plan, recorded[1], now)
