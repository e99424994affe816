"""`reconciler adopt`: a person says which batch a spec's is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from reconciler.cli.by_hand import audit, existing_batch, one_line, why_option
from reconciler.cli.options import state_options
from reconciler.cli.provenance import GitProvenance
from reconciler.cli.session import Session, StateOptions
from reconciler.digest import request_key
from reconciler.errors import Refused
from reconciler.model import kept_fields
from reconciler.state.document import Generation, RecordedBy, RequestRecord, Status

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.model import Spec
    from reconciler.observed import Batch
    from reconciler.state.document import State


@click.command("adopt", short_help="Record a batch that already exists.")
@click.argument("name")
@click.argument("batch_id")
@why_option
@state_options
@click.pass_obj
def command(root: Path, /, name: str, *, batch_id: str, why: str, **state: Any) -> None:
    """Record a batch that already exists as the one the spec NAME describes.

    For batches made in the vendor's console or whose record was lost. The batch is read through the
    API first: it must exist, in the spec's campaign, with as many contacts, and not be recorded
    already. Nothing is created and nobody is called.

    \b
    Example:
      reconciler adopt renewals/2026-05 bat_123 --why "made in the console on Monday"
    """
    session = Session.open(root, StateOptions(**state))
    spec = _spec(session, name)
    store = session.store()
    with store.exclusive():
        recorded = store.load()
        _require_unrecorded(recorded, name)
        with session.api() as api:
            batch = existing_batch(api, recorded, batch_id, name=name, campaign_id=spec.campaign_id)
        _require_same(spec, batch)
        now = session.clock.now()
        decision = audit(f"adopted {batch_id} as {name}", why, now)
        request = spec.requests[0]
        key = batch.key or request_key(
            lineage=recorded.lineage, name=name, generation=1, part=1, digest=request.digest
        )
        owner = {r.key: owned for owned, _, r in recorded.requests()}.get(key)
        if owner is not None:
            raise Refused(
                f"batch {batch_id} carries the key of {owner}: it is a second batch of that",
                hint=f"see: reconciler state show {owner}; cancel the second in the console",
            )
        record = RequestRecord(
            part=1,
            key=key,
            status=Status.CREATED,
            digest=request.digest,
            contacts=len(request.contacts),
            attempt=0,
            first_attempted_at=now,
            attempted_at=now,
            run=session.run,
            batch_id=batch_id,
            recorded_at=now,
            recorded_by=RecordedBy.ADOPTED,
            audit=(decision,),
        )
        generation = Generation(
            generation=1,
            campaign_id=spec.campaign_id,
            fields=kept_fields(request.fields),
            source=GitProvenance(root).source(spec),
            requests=(),
        )
        changed = recorded.with_request(name, generation, record)
        changed = changed.with_record(
            name, replace(changed.batches[name], lifecycle=spec.lifecycle)
        )
        store.save(changed, touched=frozenset({name}), why=one_line(decision))
    click.echo(f"{name} is recorded as batch {batch_id}.")


def _spec(session: Session, name: str) -> Spec:
    specs = {spec.name: spec for spec in session.specs().specs}
    if name not in specs:
        raise Refused(
            f"no spec is called {name}",
            hint="write the spec first: what is adopted has to say what it is",
        )
    spec = specs[name]
    if len(spec.requests) > 1:
        raise Refused(f"{name} is split into {len(spec.requests)} requests; one batch is not it")
    return spec


def _require_unrecorded(recorded: State, name: str) -> None:
    record = recorded.record(name)
    if record is None:
        return
    if record.current.in_doubt:
        raise Refused(
            f"{name} is in doubt", hint=f"settle it: reconciler resolve {name} --created BATCH_ID"
        )
    raise Refused(f"{name} has a recorded batch already", hint=f"see: reconciler state show {name}")


def _require_same(spec: Spec, batch: Batch) -> None:
    """Refuse a batch that shows that it is not what the spec says."""
    request = spec.requests[0]
    if batch.digest is not None and batch.digest != request.digest:
        raise Refused(
            f"batch {batch.batch_id} was created from other contents than {spec.name} has now",
            hint="put the spec back to what it was then, adopt, and change it afterwards",
        )
    count = len(request.contacts)
    if batch.total_contacts not in {None, count}:
        raise Refused(
            f"batch {batch.batch_id} has {batch.total_contacts:,} contacts, {spec.name} {count:,}",
            hint="adopt the batch that has the spec's contacts, or make the spec say its contacts",
        )
