"""`reconciler stop`: pauses or cancels live batches at once, by hand, and records that."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, field

from reconciler.cli.by_hand import audit, one_line, why_option
from reconciler.cli.options import Seconds, format_option, names_argument, state_options
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.wording import as_typed, tell_of_the_sandbox
from reconciler.errors import (
    ExitCode,
    InvalidSpecs,
    ReconcilerError,
    Refused,
    StateLocked,
    StateMoved,
)
from reconciler.model import Lifecycle

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.apply.stopping import Found, Stop, Unknown
    from reconciler.ports import BatchApi
    from reconciler.state.document import Audit, State
    from reconciler.state.store import StateStore

_ROUNDS = 5
"""How often it looks again for what an apply created while this was at work."""
_RETRY = 0.2
_ALREADY = "it was paused already"
_NOT_RECORDED = (
    "nothing is recorded under this name, so nothing was stopped for it; see the names: "
    "reconciler state list"
)


@click.command("stop", short_help="Stop calls at once, by hand, past the specs.")
@names_argument
@click.option("--all", "everything", is_flag=True, help="All recorded names.")
@click.option("--pause", is_flag=True, help="Pause. The default.")
@click.option("--cancel", is_flag=True, help="Cancel, for good.")
@why_option
@click.option("--yes", is_flag=True, help="Do not ask. Required without a terminal.")
@click.option(
    "--wait",
    type=Seconds(),
    default=30.0,
    show_default=True,
    help="Seconds to wait for an apply that holds the state, to record the stop. The calls are "
    "stopped before.",
)
@format_option("text", "json")
@state_options
@click.pass_obj
def command(root: Path, /, names: tuple[str, ...], **options: Any) -> int:
    """Stop the calls of some names at once: pause their batches, or cancel them for good.

    The specs are not read, and need not be there or be sound. The calls are stopped first and that
    is recorded then: no apply resumes them or creates anything under these names, until the specs
    say the same (`lifecycle: paused` or `cancelled`) and one apply has made it official.

    This stops what is there. What keeps anything new from being created is the file FREEZE.

    \b
    Examples:
      reconciler stop renewals/2026-05 --why "complaints"
      reconciler stop --all --yes
      reconciler stop renewals/2026-05 --cancel
    """
    state = {name: options.pop(name) for name in StateOptions._fields}
    if bool(names) == options["everything"]:
        raise click.UsageError("Give names of batches, or --all.")
    if options["pause"] and options["cancel"]:
        raise click.UsageError("Give --pause or --cancel, not both.")
    if not options["yes"] and not sys.stdin.isatty():
        raise Refused(
            "stop asks before it stops anything, and there is no terminal to ask on",
            hint="say that it is meant: reconciler stop ... --yes",
        )
    session = _session(root, StateOptions(**state))
    return _Stopping(session, names, options).run()


def _session(root: Path, options: StateOptions) -> Session:
    """Open the root. Settings with a mistake must not keep anybody from stopping calls."""
    from reconciler.spec.config.settings import Settings  # noqa: PLC0415 - when it runs

    try:
        return Session.open(root, options)
    except InvalidSpecs as error:
        if options.state_kind is None and not options.sandbox:
            raise Refused(
                "the settings of this root have a mistake, so nobody can say where its state lives",
                hint="say it: --state file or --state git; see: reconciler validate",
            ) from error
        click.echo("warning: the settings have a mistake; going on without them", err=True)
        return Session(root, Settings(), options)


class _Done(Struct):
    """What was done so far. `stops` are by batch id, the last word on each."""

    stops: dict[str, Stop] = field(default_factory=dict)
    unknown: tuple[Unknown, ...] = ()
    missing: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """An unknown outcome first, then failures."""
        if self.unknown:
            return ExitCode.UNKNOWN_OUTCOME
        failed = any(each.problem for each in self.stops.values())
        return ExitCode.FAILED if failed or self.problem or self.missing else ExitCode.DONE


class _Stopping:
    """One run of the command."""

    def __init__(self, session: Session, names: tuple[str, ...], options: dict[str, Any]) -> None:
        self._session = session
        self._names = names
        self._options = options
        cancels = options["cancel"]
        self._lifecycle = Lifecycle.CANCELLED if cancels else Lifecycle.PAUSED
        self._done = _Done()

    def run(self) -> int:
        """Do it, and give the exit status."""
        store = self._session.store()
        recorded = store.load()
        if self._session.options.sandbox:
            tell_of_the_sandbox(self._session.sandbox_directory())
        self._done.missing = tuple(name for name in self._names if name not in recorded.batches)
        with self._session.api() as api:
            found = self._find(recorded, api)
            self._ask(found)
            self._stop(found, api)
            self._record(store, api)
        self._show(store)
        return self._done.exit_code

    def _chosen(self, recorded: State) -> tuple[str, ...]:
        return self._names or tuple(sorted(recorded.batches))

    def _find(self, recorded: State, api: BatchApi) -> Found:
        from reconciler.apply.stopping import find  # noqa: PLC0415 - imports the lookup

        return find(recorded, self._chosen(recorded), api, self._session.settings.parallelism)

    def _ask(self, found: Found) -> None:
        if self._options["yes"]:
            return
        for target in found.targets:
            click.echo(f"  {target.name}: {target.batch_id} ({target.status or 'status unknown'})")
        verb = "Cancel for good" if self._lifecycle is Lifecycle.CANCELLED else "Pause"
        question = f"{verb} {_batches(len(found.targets))}? Type yes to go on"
        if click.prompt(question, default="no", show_default=False, err=True).strip() != "yes":
            raise Refused("the answer was not yes; nothing was done")

    def _stop(self, found: Found, api: BatchApi) -> None:
        from reconciler.apply.stopping import stop  # noqa: PLC0415 - as above

        new = [t for t in found.targets if t.batch_id not in self._done.stops]
        for each in stop(new, self._lifecycle, api, self._session.settings.parallelism):
            self._done.stops[each.target.batch_id] = each
        self._done.unknown = found.unknown

    # -- recording ----------------------------------------------------------------------------

    def _record(self, store: StateStore, api: BatchApi) -> None:
        """Record what was stopped, and stop what was created meanwhile.

        The calls are stopped already, so what goes wrong here is told and undoes nothing.
        """
        said = f"stopped ({self._lifecycle})"
        by = audit(said, self._options["why"], self._session.clock.now())
        try:
            for _ in range(_ROUNDS):
                recorded = self._store(store, by)
                found = self._find(recorded, api)
                if all(each.batch_id in self._done.stops for each in found.targets):
                    self._done.unknown = found.unknown
                    return
                self._stop(found, api)
            self._store(store, by)
        except ReconcilerError as error:
            self._done.problem = f"the calls are stopped, and that is not recorded: {error.message}"
            self._done.hint = (
                f"{error.hint or 'mend that'}; then run the same command again: it records what is "
                "stopped. Until then a changed spec may be refused, or call the rest"
            )

    def _store(self, store: StateStore, by: Audit) -> State:
        """Store the stop as soon as nobody else holds the state; give the state as it is then."""
        waited_out = time.monotonic() + self._options["wait"]
        while True:
            try:
                with store.exclusive():
                    recorded = store.load()
                    changed, touched = self._changed(recorded, by)
                    if touched:
                        recorded = store.save(changed, touched=touched, why=one_line(by))
                    return recorded
            except (StateLocked, StateMoved):
                if time.monotonic() >= waited_out:
                    raise
                time.sleep(_RETRY)

    def _changed(self, recorded: State, by: Audit) -> tuple[State, frozenset[str]]:
        from reconciler.plan.stopped import with_stop  # noqa: PLC0415 - as above

        stops: dict[str, list[Stop]] = {}
        for each in self._done.stops.values():
            stops.setdefault(each.target.name, []).append(each)
        names = {*stops, *(each.name for each in self._done.unknown)} & set(recorded.batches)
        changed = recorded
        for name in names:
            before = recorded.batches[name]
            mine = stops.get(name, [])
            after = with_stop(
                before,
                by,
                self._lifecycle,
                stopped={s.target.batch_id: s.skipped for s in mine if not s.problem},
                left=[s.target.batch_id for s in mine if s.problem],
                now=by.at,
            )
            changed = changed.with_record(name, after)
        touched = frozenset(n for n in names if changed.batches[n] != recorded.batches[n])
        return changed, touched

    # -- telling ------------------------------------------------------------------------------

    def _show(self, store: StateStore) -> None:
        done = self._done
        if self._options["output"] == "json":
            from reconciler.render.structured import dumps  # noqa: PLC0415 - when asked

            click.echo(dumps(self._document()), nl=False)
        else:
            for name, batch_id, outcome, message in self._rows():
                if batch_id is None:
                    click.echo(f"{name}: {message}")
                elif message == _ALREADY:
                    click.echo(f"{name}: {batch_id} already {outcome}")
                else:
                    click.echo(f"{name}: {batch_id} {outcome}{message and f': {message}'}")
            stopped = sum(not each.problem for each in done.stops.values())
            already = sum(self._is_already(each) for each in done.stops.values())
            more = f", {already:,} already {self._lifecycle}" if already else ""
            click.echo(f"{_batches(stopped - already)} {self._lifecycle}{more}.")
            if stopped and not done.problem:
                click.echo(f"Recorded in {store.where}.", err=True)
        if done.problem:
            click.echo(f"error: {done.problem}", err=True)
            click.echo(f"hint: {as_typed(done.hint)}", err=True)
        root = self._session.root
        click.echo(
            f"note: this keeps no new batch from being created: for that, put a file {root}/FREEZE "
            "where the specs are, and merge it",
            err=True,
        )

    def _is_already(self, stop: Stop) -> bool:
        """Whether a batch was as it should be before anything was asked of it."""
        paused = self._lifecycle is Lifecycle.PAUSED and stop.target.status == "paused"
        return paused and not stop.problem

    def _rows(self) -> list[tuple[str, str | None, str, str]]:
        rows: list[tuple[str, str | None, str, str]] = [
            (name, None, "failed", as_typed(_NOT_RECORDED)) for name in self._done.missing
        ]
        for each in self._done.stops.values():
            outcome = "failed" if each.problem else self._lifecycle.value
            hint = ""
            if each.problem:
                hint = f"{each.problem}; run this again, or stop it in the vendor's console"
            elif self._is_already(each):
                hint = _ALREADY
            elif each.target.found:
                hint = "found by the key of a request in doubt"
            rows.append((each.target.name, each.target.batch_id, outcome, hint))
        rows.extend(
            (each.name, None, "in_doubt", f"a create is in doubt: {each.why}; run this again")
            for each in self._done.unknown
        )
        return sorted(rows, key=lambda row: (row[0], row[1] or ""))

    def _document(self) -> dict[str, Any]:
        return {
            "format_version": "1.0",
            "batches": [
                {"name": name, "batch_id": batch_id, "outcome": outcome, "message": message}
                for name, batch_id, outcome, message in self._rows()
            ],
            "recorded": not self._done.problem,
            "problem": self._done.problem or None,
        }


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{count:,} batches"
