"""`reconciler ledger`: shows how much is in the ledger of calls, and makes it anew."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.by_hand import audit, one_line
from reconciler.cli.options import state_options
from reconciler.cli.session import Session, StateOptions
from reconciler.errors import Refused

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from reconciler.policy.frequency import Frequency
    from reconciler.policy.keyed import LedgerKey
    from reconciler.ports import BatchApi
    from reconciler.state.calls import Launch
    from reconciler.state.document import Generation, RequestRecord, State


@click.group("ledger", short_help="Show or make anew who was called how often.")
def command() -> None:
    """Show or make anew who was called how often.

    The ledger holds keyed hashes alone: no number can be read out of it, and none is shown.

    \b
    Examples:
      reconciler ledger show
      reconciler ledger rebuild
    """


@command.command("show")
@state_options
@click.pass_obj
def show(root: Path, /, **state: Any) -> None:
    """Show how much the ledger of calls holds. Needs no key.

    \b
    Example:
      reconciler ledger show
    """
    from reconciler.cli.calls import files_of  # noqa: PLC0415 - when it runs
    from reconciler.state.calls import MOST, decode  # noqa: PLC0415 - as above

    store = Session.open(root, StateOptions(**state)).store()
    store.load()
    launches = [decode(name, data, None) for name, data in files_of(store).beside()]
    people = sum(len(launch.hashes) for launch in launches)
    times = sorted(launch.at for launch in launches)
    counted = f"{_count(len(launches), 'launch', 'launches')}, {_count(people, 'call', 'calls')}"
    when = f", from {_day(times[0])} to {_day(times[-1])}" if times else ""
    click.echo(f"{counted} of at most {MOST:,}{when}")


@command.command("rebuild", short_help="Make the ledger of calls anew, from what the API knows.")
@click.option(
    "--leave-out-gone",
    is_flag=True,
    help="Count nobody for batches that the API does not know any more.",
)
@state_options
@click.pass_obj
def rebuild(root: Path, /, *, leave_out_gone: bool, **state: Any) -> None:
    """Make the ledger of calls anew: from the recorded batches, as the API knows their contacts.

    For a limit that is new, a key that is new, or a ledger that was lost. Reads everyone in each
    batch that still counts, and calls nobody.

    \b
    Example:
      reconciler ledger rebuild
    """
    from reconciler.cli.calls import files_of  # noqa: PLC0415 - when it runs
    from reconciler.policy.keyed import ledger_key  # noqa: PLC0415 - as above
    from reconciler.state.calls import MOST, encode, name_of  # noqa: PLC0415 - as above

    session = Session.open(root, StateOptions(**state))
    frequency = _frequency(session)
    key = ledger_key(os.environ)
    store = session.store()
    with store.exclusive(), session.api() as api:
        recorded = store.load()
        old = dict(files_of(store).beside())
        now = session.clock.now()
        found = _Rebuilding(api, key, _readable(old, key), leave_out_gone=leave_out_gone)
        for name, generation, request in _counting(recorded, now, frequency):
            found.add(name, generation, request)
        people = sum(len(launch.hashes) for launch in found.launches)
        if people > MOST:
            raise Refused(
                f"{people:,} calls are more than a ledger holds: at most {MOST:,}",
                hint="let limits look back less far (`within`)",
            )
        new = {name_of(each.request): encode(each, key.id) for each in found.launches}
        files_of(store).lay({**dict.fromkeys(old), **new})
        decision = audit("made the ledger of calls anew", "", now)
        store.save(recorded, touched=frozenset(), why=one_line(decision))
    for line in found.told:
        click.echo(f"warning: {line}", err=True)
    click.echo(
        f"{_count(len(found.launches), 'launch', 'launches')}, {_count(people, 'call', 'calls')}"
    )


class _Rebuilding:
    """Launches as far as they are known again, and what to tell of the others."""

    def __init__(
        self, api: BatchApi, key: LedgerKey, kept: dict[str, Launch], *, leave_out_gone: bool
    ) -> None:
        self.launches: list[Launch] = []
        self.told: list[str] = []
        self._api = api
        self._key = key
        self._kept = kept
        self._leave_out_gone = leave_out_gone
        self._timezones: dict[str, str | None] = {}

    def add(self, name: str, generation: Generation, request: RequestRecord) -> None:
        """Find out whom a request called. Raises `ApiError`, and `Refused` where nobody knows."""
        from reconciler.policy.frequency import begins_at  # noqa: PLC0415 - when it runs
        from reconciler.state.calls import Launch  # noqa: PLC0415 - as above

        at = begins_at(generation, request, self._timezone(generation.campaign_id))
        if request.batch_id is not None and self._api.batch(request.batch_id) is not None:
            people = self._api.batch_contacts(request.batch_id)
            hashes = self._key.hashed(each.phone_number for each in people)
            self.launches.append(Launch(request.key, at, hashes))
        elif request.key in self._kept:
            self.launches.append(self._kept[request.key])
        elif request.batch_id is None:
            self.told.append(f"{name} is in doubt, so nobody can say whom it called")
        elif self._leave_out_gone:
            self.told.append(f"{name}: batch {request.batch_id} is gone, and nobody is counted")
            self.launches.append(Launch(request.key, at, self._key.hashed(())))
        else:
            raise Refused(
                f"{name}: the API does not know batch {request.batch_id} any more, so nobody can "
                "say whom it called",
                hint="count nobody for it: reconciler ledger rebuild --leave-out-gone",
            )

    def _timezone(self, campaign_id: str) -> str | None:
        if campaign_id not in self._timezones:
            campaign = self._api.campaign(campaign_id)
            self._timezones[campaign_id] = campaign.timezone if campaign else None
        return self._timezones[campaign_id]


def _frequency(session: Session) -> Frequency:
    """Give the limits of a root. Raises `Refused` where there is none."""
    from reconciler.cli.calls import limits_of  # noqa: PLC0415 - when it runs
    from reconciler.cli.guarding import layers_of  # noqa: PLC0415 - as above
    from reconciler.policy.frequency import Frequency  # noqa: PLC0415 - as above

    layers = layers_of(session.settings.policy)
    limits = tuple(limit for layer in layers for limit in limits_of(layer.policy))
    if not limits:
        raise Refused(
            "no limit asks how often people were called, so no ledger is kept",
            hint="write `policy: {frequency: {calls: 3, within: 7d}}` in reconciler.yaml",
        )
    return Frequency(limits)


def _readable(files: dict[str, bytes], key: LedgerKey) -> dict[str, Launch]:
    """Give the launches that are as they were written, with this key."""
    from reconciler.state.calls import LedgerUnusable, decode  # noqa: PLC0415 - when it runs

    found = {}
    for name, data in files.items():
        try:
            launch = decode(name, data, key.id)
        except LedgerUnusable:
            continue
        found[launch.request] = launch
    return found


def _counting(
    recorded: State, now: datetime, frequency: Frequency
) -> list[tuple[str, Generation, RequestRecord]]:
    """Give the recorded requests whose calls still count."""
    from reconciler.policy.frequency import may_have_called  # noqa: PLC0415 - when it runs

    since = now - frequency.keeps
    return [each for each in recorded.requests() if may_have_called(each[1], each[2], since)]


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
