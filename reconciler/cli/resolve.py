"""`reconciler resolve`: a person says what became of a batch in doubt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import state_options
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.wording import as_typed
from reconciler.errors import Refused
from reconciler.plan.settling import as_created
from reconciler.state.document import RecordedBy

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.ports import BatchApi
    from reconciler.state.document import Generation, RequestRecord, State


@click.command("resolve", short_help="Settle a batch in doubt by hand.")
@click.argument("name")
@click.option("--created", "batch_id", metavar="BATCH_ID", help="It exists, and this is its id.")
@click.option("--not-created", is_flag=True, help="It certainly does not exist.")
@state_options
@click.pass_obj
def command(
    root: Path, /, name: str, *, batch_id: str | None, not_created: bool, **state: Any
) -> None:
    """Settle a batch in doubt by hand: say that it exists, or that it does not.

    With --created the batch is read through the API first: it must exist, in the same campaign,
    and not be recorded already. After --not-created the next apply creates it.

    \b
    Examples:
      reconciler resolve renewals/2026-05 --created bat_123
      reconciler resolve renewals/2026-05 --not-created
    """
    if not_created == (batch_id is not None):
        raise click.UsageError("Give one of --created BATCH_ID and --not-created.")
    session = Session.open(root, StateOptions(**state))
    store = session.store()
    with store.exclusive():
        recorded = store.load()
        generation, request = _in_doubt(recorded, name)
        now = session.clock.now()
        if batch_id is None:
            settled = replace(request, released_at=now)
            told = f"{name} counts as not created. Next: reconciler apply"
        else:
            with session.api() as api:
                _verify(api, recorded, name, batch_id)
            settled = as_created(request, batch_id, by=RecordedBy.RESOLVED, now=now)
            told = f"{name} is recorded as batch {batch_id}."
        changed = recorded.with_request(name, generation, settled)
        store.save(changed, touched=frozenset({name}), why=f"resolve {name}")
    click.echo(as_typed(told))


def _in_doubt(recorded: State, name: str) -> tuple[Generation, RequestRecord]:
    record = recorded.record(name)
    if record is None:
        raise Refused(
            f"nothing is recorded under {name}", hint="see all names: reconciler state list"
        )
    for request in record.current.requests:
        if request.in_doubt and request.released_at is None:
            return record.current, request
    raise Refused(
        f"{name} is not in doubt: nothing to resolve", hint=f"see: reconciler state show {name}"
    )


def _verify(api: BatchApi, recorded: State, name: str, batch_id: str) -> None:
    """Refuse an id that cannot be this request's batch."""
    owner = recorded.batch_ids().get(batch_id)
    if owner is not None:
        raise Refused(f"batch {batch_id} is recorded already, under {owner}")
    generation, request = _in_doubt(recorded, name)
    batch = api.batch(batch_id)
    if batch is None:
        raise Refused(
            f"the API knows no batch {batch_id}",
            hint="copy the id from the vendor's console; is GRAINE_API_KEY of the right account?",
        )
    if batch.campaign_id not in {None, generation.campaign_id}:
        raise Refused(
            f"batch {batch_id} is in campaign {batch.campaign_id}, {name} in "
            f"{generation.campaign_id}"
        )
    if batch.key not in {None, request.key}:
        raise Refused(f"batch {batch_id} carries the key of another request")
