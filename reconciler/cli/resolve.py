"""`reconciler resolve`: a person says what became of a batch in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from reconciler.cli.by_hand import audit, existing_batch, one_line, why_option
from reconciler.cli.options import name_argument, state_options
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.wording import as_typed
from reconciler.errors import Refused
from reconciler.plan.settling import as_created
from reconciler.state.document import RecordedBy

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from reconciler.state.document import Generation, RequestRecord, State


@click.command("resolve", short_help="Settle a batch in doubt by hand.")
@name_argument
@click.option("--created", "batch_id", metavar="BATCH_ID", help="It exists, and this is its id.")
@click.option("--not-created", is_flag=True, help="It certainly does not exist.")
@why_option
@state_options
@click.pass_obj
def command(
    root: Path, /, name: str, *, batch_id: str | None, not_created: bool, why: str, **state: Any
) -> None:
    """Settle a batch in doubt by hand: say that it exists, or that it does not.

    With --created the batch is read through the API first: it must exist, in the same campaign,
    and not be recorded already. After --not-created the next apply creates it. Who said so, when
    and why is kept.

    \b
    Examples:
      reconciler resolve renewals/2026-05 --created bat_123
      reconciler resolve renewals/2026-05 --not-created --why "not in the console"
    """
    if not_created == (batch_id is not None):
        raise click.UsageError("Give one of --created BATCH_ID and --not-created.")
    session = Session.open(root, StateOptions(**state))
    store = session.store()
    with store.exclusive():
        recorded = store.load()
        now = session.clock.now()
        generation, request = _in_doubt(recorded, name, now, created=batch_id is not None)
        if batch_id is None:
            decision = audit(f"resolved {name} as not created", why, now)
            settled = replace(request, released_at=now)
            next_step = f"{name} counts as not created. Next: reconciler apply"
        else:
            with session.api() as api:
                batch = existing_batch(
                    api, recorded, batch_id, name=name, campaign_id=generation.campaign_id
                )
            if batch.key not in {None, request.key}:
                raise Refused(
                    f"batch {batch_id} carries the key of another request",
                    hint="see which requests are in doubt: reconciler state list",
                )
            decision = audit(f"resolved {name} as {batch_id}", why, now)
            settled = as_created(request, batch_id, by=RecordedBy.RESOLVED, now=now)
            next_step = f"{name} is recorded as batch {batch_id}."
        settled = replace(settled, audit=(*settled.audit, decision))
        changed = recorded.with_request(name, generation, settled)
        store.save(changed, touched=frozenset({name}), why=one_line(decision))
    click.echo(as_typed(next_step))


def _in_doubt(
    recorded: State, name: str, now: datetime, *, created: bool
) -> tuple[Generation, RequestRecord]:
    """Find the request to settle. Raises `Refused` when there is none, or its run is at it.

    That a batch was `created` can be said, and is looked at, once its run does not know better.
    That none was must wait until no request can be under way any more.
    """
    record = recorded.record(name)
    if record is None:
        raise Refused(
            f"nothing is recorded under {name}", hint="see all names: reconciler state list"
        )
    for request in record.current.requests:
        if request.in_doubt and request.released_at is None:
            until = request.gives_up_at or request.expires_at
            given_up = request.unknown is not None
            if until is not None and now < until and not (created and given_up):
                said = (
                    f"a request of run {request.run[:12]} for {name} may be under way until "
                    f"{until:%Y-%m-%d %H:%M:%S} UTC"
                    if given_up
                    else f"run {request.run[:12]} is creating {name} and has until "
                    f"{until:%Y-%m-%d %H:%M:%S} UTC to say what came of it"
                )
                raise Refused(said, hint="wait until then, and look at: reconciler plan")
            return record.current, request
    raise Refused(
        f"{name} is not in doubt: nothing to resolve", hint=f"see: reconciler state show {name}"
    )
