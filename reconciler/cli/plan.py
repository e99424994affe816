"""`reconciler plan`: what apply would do."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from reconciler.cli.options import (
    Pruning,
    cache_option,
    format_option,
    prune_options,
    state_options,
)
from reconciler.cli.reading import Reader
from reconciler.cli.screen import show_plan
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.wording import tell_of_the_sandbox
from reconciler.errors import ExitCode, InvalidSpecs, ReconcilerError, Superseded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.model import Diagnostic
    from reconciler.plan.actions import Plan
    from reconciler.state.document import State
    from reconciler.state.store import StateStore


@click.command("plan", short_help="Show what apply would do, and whom it would call.")
@format_option("text", "json", "markdown")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Save the plan, for: reconciler apply --plan FILE",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@click.option("--offline", is_flag=True, help="Ask the API nothing.")
@cache_option
@prune_options
@state_options
@click.pass_obj
def command(
    root: Path,
    /,
    output: str,
    out: Path | None,
    detailed_exitcode: bool,  # noqa: FBT001 - click passes flags
    **options: Any,
) -> int:
    """Show what apply would do, and whom it would call. Changes nothing.

    Without GRAINE_API_KEY, or with --offline, it plans from the specs and the state alone, and
    says where it could not know.

    People who were called already and would be called again are told first. The time by which
    everybody has been called is an estimate within the campaign's working hours; `average_call` in
    reconciler.yaml says how long a call takes.

    With --format markdown it is a comment for a pull request. Its hash, also in the JSON, stands
    for what is begun and for whom: it is the same tomorrow if that is the same.

    \b
    Examples:
      reconciler plan
      reconciler plan --out plan.json && reconciler apply --plan plan.json
      reconciler plan --format json --detailed-exitcode
      reconciler plan --format markdown > comment.md
    """
    offline, no_cache = options.pop("offline"), options.pop("no_cache")
    pruning = Pruning(options.pop("prune"), options.pop("prune_limit"))
    try:
        session = Session.open(root, StateOptions(**options))
        reader = Reader(session, cache=not no_cache)
        plan = _plan(session, reader, offline=offline, pruning=pruning)
    except InvalidSpecs as error:
        if output == "markdown":
            from reconciler.render.markdown import failure_markdown  # noqa: PLC0415 - for an error

            click.echo(failure_markdown(error.diagnostics, root=str(root)), nl=False)
        raise
    if out is not None:
        from reconciler.render import structured  # noqa: PLC0415 - when it is asked for

        _save(out, structured.dumps(structured.saved_plan_document(plan)))
    _show(plan, session, output, root)
    reader.remember()
    if plan.errors:
        return ExitCode.FAILED
    from reconciler.plan.actions import Refusal  # noqa: PLC0415 - with the planner

    if any(action.refusal is Refusal.FORBIDDEN for action in plan.actions):
        return ExitCode.REFUSED
    return ExitCode.CHANGES_PENDING if detailed_exitcode and plan.pending else ExitCode.DONE


def _show(plan: Plan, session: Session, output: str, root: Path) -> None:
    now = session.clock.now()
    average_call = timedelta(seconds=session.settings.average_call)
    match output:
        case "json":
            from reconciler.render import structured  # noqa: PLC0415 - when it is asked for

            document = structured.plan_document(plan, now=now, average_call=average_call)
            click.echo(structured.dumps(document), nl=False)
        case "markdown":
            from reconciler.render.markdown import plan_markdown  # noqa: PLC0415 - as above

            comment = plan_markdown(plan, now, root=str(root), average_call=average_call)
            click.echo(comment, nl=False)
        case _:
            show_plan(plan, now, average_call)


def _plan(session: Session, reader: Reader, *, offline: bool, pruning: Pruning) -> Plan:
    store = reader.store()
    can_ask = session.options.sandbox or bool(os.environ.get("GRAINE_API_KEY"))
    state = reader.load(store, whole=can_ask and not offline)
    plan = _planned(session, reader, (store, state), offline=offline, pruning=pruning)
    told = () if offline or not session.in_git else tuple(_of_the_checkout(session, store))
    return replace(plan, diagnostics=(*told, *plan.diagnostics)) if told else plan


def _of_the_checkout(session: Session, store: StateStore) -> Iterator[Diagnostic]:
    """Warn where apply would do something else than is planned, because of what is checked out."""
    from reconciler.state.git import without_secrets  # noqa: PLC0415 - state in git only
    from reconciler.state.git_store import GitStore  # noqa: PLC0415 - as above

    try:
        store.require_current()
    except Superseded as error:
        newer = error.message.partition(": nothing")[0]
        yield _warning(
            f"{newer}: apply would do nothing from this checkout",
            "git pull, then: reconciler plan",
        )
    except ReconcilerError:
        pass  # a pull request's checkout is on no branch yet; `apply` asks again
    named = session.options.state_branch or session.settings.state_branch
    if isinstance(store, GitStore) and not store.has_branch and not named:
        place = store.place
        yield _warning(
            f"{without_secrets(place.remote)} has no branch {place.branch} yet, and so no state of "
            "it: everything looks new here",
            "to see what a merge into another branch would do: reconciler plan --state-branch "
            "BRANCH",
        )


def _warning(message: str, hint: str) -> Diagnostic:
    from reconciler.model import Diagnostic, Severity  # noqa: PLC0415 - when it runs

    return Diagnostic(Severity.WARNING, "", 0, 0, "", message, hint)


def _planned(
    session: Session,
    reader: Reader,
    recorded: tuple[StateStore, State],
    *,
    offline: bool,
    pruning: Pruning,
) -> Plan:
    from reconciler.cli.planning import plan_of_nothing, plan_with  # noqa: PLC0415 - when it runs

    store, state = recorded
    rules = session.rules(prune=pruning.prune)
    specs = reader.specs(state, rules)
    if session.options.sandbox and not offline:
        tell_of_the_sandbox(session.sandbox_directory())
    if not offline and not session.options.sandbox and not os.environ.get("GRAINE_API_KEY"):
        settled = plan_of_nothing(session, specs, state, rules)
        if settled is not None:
            return settled
        click.echo("note: GRAINE_API_KEY is not set, so the plan is made offline", err=True)
        offline = True
    with ExitStack() as stack:
        api = None if offline else stack.enter_context(session.api())
        plan = plan_with(
            session,
            specs,
            state,
            rules,
            api=api,
            parallelism=session.settings.parallelism,
            store=store,
        )
    pruning.require(plan, state)
    return plan


def _save(path: Path, document: str) -> None:
    try:
        path.write_text(document, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from error
