"""`reconciler apply`: does what the plan says, once it is agreed to."""

from __future__ import annotations

import os
import queue
import random
import sys
import threading
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from reconciler.apply.engine import Engine, Limits
from reconciler.apply.facts import known_keys
from reconciler.apply.gate import BrakeGate, Gates, PolicyGate, frozen
from reconciler.apply.lookup import Lookup
from reconciler.apply.recorder import Recorder
from reconciler.apply.report import Ending
from reconciler.cli.agreeing import Agreement
from reconciler.cli.brakes import brake_of
from reconciler.cli.calls import call_log
from reconciler.cli.guarding import People, open_guard
from reconciler.cli.options import (
    Pruning,
    Seconds,
    cache_option,
    format_option,
    prune_options,
    state_options,
)
from reconciler.cli.planning import plan_with
from reconciler.cli.progress import shown_progress
from reconciler.cli.provenance import GitProvenance
from reconciler.cli.reading import Reader
from reconciler.cli.reviewing import only_begun, require_reviewed_plan
from reconciler.cli.screen import show_report
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.stopping import signals_stop
from reconciler.cli.wording import as_typed, tell_of_the_sandbox
from reconciler.errors import ReconcilerError, Refused, StateError, Superseded
from reconciler.model import Diagnostic, Severity
from reconciler.plan.actions import ActionKind, Refusal
from reconciler.render import structured, text
from reconciler.spec.locate import locate
from reconciler.system import ServerClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.api.client import HttpBatchApi
    from reconciler.apply.report import Report, Result
    from reconciler.apply.sending import Event
    from reconciler.model import SpecSet
    from reconciler.plan.actions import Plan
    from reconciler.plan.facts import Rules
    from reconciler.state.document import State
    from reconciler.state.store import StateStore


@click.command("apply", short_help="Create what is new, exactly once, and record the ids.")
@click.option("--yes", is_flag=True, help="Do not ask. Required without a terminal.")
@format_option("text", "json", "markdown")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Refuse unless the plan is still the one saved by plan --out.",
)
@click.option(
    "--only-begun",
    is_flag=True,
    help="Only finish what an earlier run began: settle what is in doubt; begin nothing new.",
)
@click.option(
    "--parallelism",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Requests under way at the same time. [default: 4]",
)
@click.option(
    "--verify-for",
    type=Seconds(),
    help="Seconds to look for a batch whose create got no answer. [default: 60]",
)
@click.option(
    "--settle",
    type=Seconds(),
    help="Seconds after which a batch that is not listed counts as not created. [default: 600]",
)
@click.option(
    "--lease",
    type=Seconds(),
    help="Seconds for which a recorded intent may be acted on. [default: 300]",
)
@click.option(
    "--drain",
    type=Seconds(),
    help="Seconds to wait for calls in flight before a batch is replaced. [default: 300]",
)
@cache_option
@prune_options
@state_options
@click.pass_obj
def command(root: Path, /, **options: Any) -> int:
    """Create what is new, exactly once, and record the ids.

    Each request is recorded before it is sent. A run that dies, at any line, is simply run again:
    it finds out what happened and goes on.

    \b
    Examples:
      reconciler apply                       shows the plan and asks
      reconciler apply --yes                 on a CI machine
      reconciler apply --plan plan.json      only what was reviewed
      reconciler apply --yes --only-begun    only what an earlier run left in doubt
      reconciler apply --sandbox             try it: calls nobody
    """
    state = {name: options.pop(name) for name in StateOptions._fields}
    if not options["yes"] and not sys.stdin.isatty():
        raise _nobody_to_ask(options["plan_file"], token_needed=not state["sandbox"])
    session = Session.open(root, StateOptions(**state))
    return _Apply(session, options).run()


def _nobody_to_ask(plan_file: Path | None, *, token_needed: bool) -> Refused:
    """Say that there is no terminal, and at once whether the token is missing too."""
    said = "apply asks before it calls anybody, and there is no terminal to ask on"
    reviewed = f" --plan {plan_file}" if plan_file else ""
    hint = f"look at: reconciler plan; then: reconciler apply --yes{reviewed}"
    if token_needed and not os.environ.get("GRAINE_API_KEY", "").strip():
        said = f"{said}; and GRAINE_API_KEY is not set"
        hint = f"set GRAINE_API_KEY to an API token (gat_…); {hint}"
    return Refused(said, hint=hint)


SHORTEST_LEASE = 5.0
LONGEST_THOUGHT = 30.0
"""Seconds after which an answer to "go on?" is to a plan that has to be looked at again."""
MOST_PLANS = 6
"""How often one run plans: somebody else stored a state first, or more is known meanwhile."""


class _Apply:
    """One run of the command."""

    def __init__(self, session: Session, options: dict[str, Any]) -> None:
        settings = session.settings
        self._session = session
        self._options = options
        self._output: str = options["output"]
        self._for_programs = self._output != "text"
        self._parallelism: int = options["parallelism"] or settings.parallelism
        self._stop = threading.Event()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._agreement = Agreement(
            session,
            asks=not options["yes"],
            plan_file=options["plan_file"],
            on_stderr=self._for_programs,
        )
        self._so_far: Report | None = None
        self._provenance = GitProvenance(session.root)
        self._reader = Reader(session, cache=not options["no_cache"])
        self._people = People.of(session)
        self._guard = open_guard(session, self._people)

    def run(self) -> int:
        """Do it, and give the exit status."""
        store = self._reader.store()
        if self._session.options.sandbox:
            tell_of_the_sandbox(self._session.sandbox_directory())
        with ExitStack() as stack:
            stack.enter_context(store.exclusive())
            first = self._reader.load(store)
            self._specs(first)
            api = stack.enter_context(
                self._session.api(parallelism=self._parallelism, stop=self._stop)
            )
            try:
                report = self._until_done(store, api, first)
            except ReconcilerError:
                if self._so_far is not None:
                    self._tell(self._so_far, store)
                raise
        self._tell(report, store)
        if not report.interrupted:
            made = (each.action.spec for each in report.results if each.ending is Ending.CREATED)
            self._reader.remember([spec for spec in made if spec is not None])
        return report.exit_code

    def _until_done(self, store: StateStore, api: HttpBatchApi, first: State) -> Report:
        """Plan and carry out, again where somebody else moved the state; a few times at most."""
        report = latest = self._so_far = self._once(store, api, first)
        for lost in range(1, MOST_PLANS):
            overtaken = report.moved or _is_outdated(report, store)
            again = overtaken or _has_settled(latest)
            if self._stop.is_set() or report.halted or not again:
                break
            if overtaken:
                # So that two runs that met do not meet again at the next turn.
                self._stop.wait(random.uniform(0, 0.5 * 2**lost))  # noqa: S311 - guards nothing
            try:
                latest = self._once(store, api)
                report = self._so_far = report.followed_by(latest)
            except Superseded as error:
                click.echo(error.message, err=True)
                # The newer checkout's run does, or refuses, what was not begun here.
                begun = tuple(each for each in report.results if not _is_refused(each))
                return replace(report, results=begun).without_skipped()
        return report

    def _tell(self, report: Report, store: StateStore) -> None:
        try:
            self._show(report, store)
        except OSError:
            sys.stdout = None  # it is done and recorded; that it cannot be told changes no status

    def _once(self, store: StateStore, api: HttpBatchApi, first: State | None = None) -> Report:
        """Plan against the state as it is now; carry it out until somebody else moves the state."""
        state = first or store.load()
        try:
            store.require_current()
        except Superseded as error:
            if self._output == "json" and not self._agreement.is_made:
                click.echo(structured.dumps(structured.failure_document([])), nl=False)
            raise Superseded(
                error.message, hint=error.hint or "git pull, then: reconciler apply"
            ) from error
        self._people.open_ledger(store, state, self._session.clock.now())
        rules, specs = self._rules(), self._specs(state)
        with signals_stop(self._stop, self._events):  # a read that hangs ends at once
            plan = plan_with(
                self._session,
                specs,
                state,
                rules,
                api=api,
                parallelism=self._parallelism,
                store=store,
                guard=self._guard,
            )
        if self._stop.is_set() and not self._agreement.is_made:
            raise click.Abort
        Pruning(self._options["prune"], self._options["prune_limit"]).require(plan, state)
        if self._options["only_begun"]:
            plan = only_begun(plan)
        self._agreement.require_saved_plan(plan)
        require_reviewed_plan(self._session, plan)
        self._warn_of_uncommitted(plan)
        if self._agreement.ask(plan) > LONGEST_THOUGHT:
            # The answer took long, so plan again; only what is more than before is asked again.
            return self._once(store, api)
        return self._carry_out(plan, store, state, api)

    def _rules(self) -> Rules:
        return self._session.rules(settle=self._options["settle"], prune=self._options["prune"])

    def _specs(self, state: State) -> SpecSet:
        return self._reader.specs(state, self._rules())

    def _warn_of_uncommitted(self, plan: Plan) -> None:
        """Say which of what is created nobody else can see, where others rely on the state."""
        if not self._session.in_git or self._agreement.is_made:
            return
        created = [action.spec for action in plan.pending if action.creations and action.spec]
        told = (path for spec in created for path in self._provenance.uncommitted_of(spec))
        for path in dict.fromkeys(told):
            file = self._session.root / path
            click.echo(
                f"warning: {file} is not as the commit has it; what is created from it is what only"
                " you can see",
                err=True,
            )

    def _carry_out(self, plan: Plan, store: StateStore, state: State, api: HttpBatchApi) -> Report:
        settings, options = self._session.settings, self._options
        shared = self._session.in_git
        brake = brake_of(self._session.root, store)
        clock = ServerClock(self._session.clock, lambda: api.skew)
        # One wrong `Date` must not make an attempt look older than it is.
        record_clock = ServerClock(self._session.clock, lambda: api.most_skew)

        def chosen(name: str) -> float:
            given: float | None = options[name]
            return float(getattr(settings, name)) if given is None else given

        with signals_stop(self._stop, self._events), shown_progress(plan.people) as progress:
            engine = Engine(
                plan=plan,
                recorder=Recorder(
                    store,
                    state,
                    clock=record_clock,
                    run=self._session.run,
                    provenance=self._provenance,
                    lease=timedelta(seconds=chosen("lease")) if shared else None,
                    timeout=timedelta(seconds=api.timeout),
                    calls=call_log(self._people.frequency, store),
                    unchanged=[
                        action.spec
                        for action in plan.actions
                        if action.kind is ActionKind.NONE and action.spec
                    ],
                ),
                api=api,
                lookup=Lookup(
                    api,
                    known_keys(state),
                    parallelism=self._parallelism,
                    everywhere=api.listing_everywhere if api.filters else None,
                ),
                clock=clock,
                limits=Limits(
                    parallelism=self._parallelism,
                    verify_for=chosen("verify_for"),
                    # The lock plays the lease's part here; an intent only has to be recent, and
                    # one too short to reach a sender at all would never be acted on.
                    lease=chosen("lease") if shared else max(chosen("lease"), SHORTEST_LEASE),
                    chunk=settings.chunk if shared else None,
                    drain=chosen("drain"),
                ),
                stop=self._stop,
                events=self._events,
                progress=progress,
                exclusion=self._people,
                gate=Gates((BrakeGate(brake), PolicyGate(self._guard))),
                root=self._session.root_name if plan.pending else "",
            )
            try:
                report = engine.run()
            except ReconcilerError:
                # What was done is told before what is wrong.
                if engine.report is not None:
                    told = self._with_complaints(engine.report)
                    self._so_far = self._so_far.followed_by(told) if self._so_far else told
                raise
        # A freeze that was pushed moved the branch, and planning again would only say so.
        against = frozen(brake) if report.moved and not report.halted else None
        report = report.halted_by(against) if against is not None else report
        return self._with_complaints(report)

    def _with_complaints(self, report: Report) -> Report:
        return replace(report, complaints=tuple(self._complaints(report)))

    def _complaints(self, report: Report) -> Iterator[Diagnostic]:
        """Show what the API says of a field at the line where that field is written."""
        for result in report.results:
            spec = result.action.spec
            for problem in result.problems if spec else ():
                if spec is not None:
                    file, line, column = locate(self._session.root, spec, problem.path)
                    where = "".join(
                        f"[{step}]" if isinstance(step, int) else f".{step}"
                        for step in problem.path
                    ).lstrip(".")
                    yield Diagnostic(
                        Severity.ERROR,
                        file,
                        line,
                        column,
                        where,
                        f"the API says: {problem.message}",
                    )

    def _document(self, report: Report) -> str:
        if self._output == "json":
            return structured.dumps(structured.report_document(report))
        from reconciler.render.markdown_report import report_markdown  # noqa: PLC0415 - when asked

        return report_markdown(report, root=str(self._session.root))

    def _show(self, report: Report, store: StateStore) -> None:
        if self._for_programs:
            click.echo(self._document(report), nl=False)
            if report.exit_code:  # a person looks into the log first, and stdout may be elsewhere
                click.echo(as_typed(text.report_text(report)), nl=False, err=True)
        else:
            show_report(report)
            if report.stored and not self._session.options.sandbox:
                then = "" if self._session.in_git else ": commit it with the specs"
                click.echo(f"Recorded in {store.where}{then}.", err=True)


def _is_outdated(report: Report, store: StateStore) -> bool:
    """Whether something was refused for a reason that somebody else may have done away with.

    A batch that the state did not know when it was read may be one that another run was recording,
    of a newer version of the specs perhaps.
    """
    with suppress(StateError):
        return any(_is_refused(result) for result in report.results) and store.moved()
    return False


def _has_settled(report: Report) -> bool:
    """Whether something was found that was in doubt when planning: its spec may have changed."""
    return any(
        result.action.refusal is Refusal.DOUBT and result.ending is Ending.CREATED
        for result in report.results
    )


def _is_refused(result: Result) -> bool:
    """Whether a guard said no. What is in doubt is no such thing, and stays until it is settled."""
    return result.ending is Ending.BLOCKED and result.action.refusal is not Refusal.DOUBT
