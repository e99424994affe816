"""`reconciler plan`: what apply would do."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import Pruning, format_option, prune_options, state_options
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.wording import as_typed, tell_of_the_sandbox
from reconciler.errors import ExitCode, InvalidSpecs

if TYPE_CHECKING:
    from reconciler.plan.actions import Plan


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

    Without GRAINE_API_KEY, or with --offline, it plans from the specs and the state alone.

    \b
    Examples:
      reconciler plan
      reconciler plan --out plan.json && reconciler apply --plan plan.json
      reconciler plan --format json --detailed-exitcode
    """
    from reconciler.render import markdown, structured, text  # noqa: PLC0415 - when it runs

    offline = options.pop("offline")
    pruning = Pruning(options.pop("prune"), options.pop("prune_limit"))
    session = Session.open(root, StateOptions(**options))
    try:
        plan = _plan(session, offline=offline, pruning=pruning)
    except InvalidSpecs as error:
        if output == "json":
            click.echo(structured.dumps(structured.failure_document(error.diagnostics)), nl=False)
        raise
    if out is not None:
        _save(out, structured.dumps(structured.saved_plan_document(plan)))
    match output:
        case "json":
            click.echo(structured.dumps(structured.plan_document(plan)), nl=False)
        case "markdown":
            click.echo(markdown.plan_markdown(plan, session.clock.now()), nl=False)
        case _:
            click.echo(as_typed(text.plan_text(plan, session.clock.now())), nl=False)
    if plan.errors:
        return ExitCode.FAILED
    return ExitCode.CHANGES_PENDING if detailed_exitcode and plan.pending else ExitCode.DONE


def _plan(session: Session, *, offline: bool, pruning: Pruning) -> Plan:
    from reconciler.cli.planning import plan_of_nothing, plan_with  # noqa: PLC0415 - when it runs

    specs = session.specs()
    state = session.store().load()
    rules = session.rules(prune=pruning.prune)
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
            session, specs, state, rules, api=api, parallelism=session.settings.parallelism
        )
    pruning.require(plan, state)
    return plan


def _save(path: Path, document: str) -> None:
    try:
        path.write_text(document, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from error
