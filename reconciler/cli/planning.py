"""How `plan` and `apply` come to the same plan: read, ask, decide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.apply.facts import gather
from reconciler.plan.facts import Facts
from reconciler.plan.planner import make_plan

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.model import SpecSet
    from reconciler.plan.actions import Plan
    from reconciler.plan.facts import Rules
    from reconciler.ports import BatchApi
    from reconciler.state.document import State


def plan_with(
    session: Session,
    specs: SpecSet,
    state: State,
    rules: Rules,
    *,
    api: BatchApi | None,
    parallelism: int,
) -> Plan:
    """Plan against what the API says now; without an API, as if nobody could be asked."""
    now = session.clock.now()
    if api is None:
        return make_plan(specs, state, Facts(offline=True), rules, now)
    facts = gather(specs, state, api, rules, now, parallelism=parallelism)
    # The questions took time, and a start may have passed meanwhile.
    return make_plan(specs, state, replace(facts), rules, session.clock.now())
