"""`reconciler doctor`: proves the surroundings before the first call is ever made."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import checks
from reconciler.cli.checks import Mark
from reconciler.cli.options import state_options
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.wording import as_typed
from reconciler.errors import ExitCode, ReconcilerError, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.cli.checks import Check

_SIGNS = {Mark.OK: "ok", Mark.ODD: "! ", Mark.BAD: "!!"}


@click.command("doctor", short_help="Prove that token, API and state work, before any call.")
@click.option(
    "--round-trip",
    "campaign_id",
    metavar="CAMPAIGN",
    help="Create a batch of one fictitious number a year ahead, read it, cancel it.",
)
@click.option("--yes", is_flag=True, help="Do not ask before the round trip.")
@state_options
@click.pass_obj
def command(root: Path, /, *, campaign_id: str | None, yes: bool, **state: Any) -> int:
    """Prove that token, API, specs and state work, before any call is made.

    Creates no batch, but with --round-trip CAMPAIGN it creates one that would call a
    fictitious number in a year, proves that its metadata comes back, and cancels it.
    With state in git it pushes a branch reconciler-doctor/… and removes it again.

    \b
    Examples:
      reconciler doctor
      reconciler doctor --state git
      reconciler doctor --round-trip cmp_abc123
    """
    session = Session.open(root, StateOptions(**state))
    if campaign_id and not yes:
        _agree(campaign_id)
    worst = Mark.OK
    for check in _checks(session, campaign_id):
        click.echo(as_typed(f"{_SIGNS[check.mark]}  {check.what}"))
        if check.hint:
            click.echo(as_typed(f"    hint: {check.hint}"))
        worst = max(worst, check.mark, key=list(Mark).index)
    return ExitCode.FAILED if worst is Mark.BAD else ExitCode.DONE


def _agree(campaign_id: str) -> None:
    if not sys.stdin.isatty():
        raise Refused(
            "the round trip creates a batch, and there is no terminal to ask on",
            hint=f"reconciler doctor --round-trip {campaign_id} --yes",
        )
    question = f"Create a batch of one fictitious number in {campaign_id} and cancel it? Type yes"
    if click.prompt(question, default="no", show_default=False, err=True).strip() != "yes":
        raise Refused("the answer was not yes; nothing was done")


def _checks(session: Session, campaign_id: str | None) -> Iterator[Check]:
    yield checks.git_check(session)
    yield from checks.workflow_checks(session)
    yield from checks.specs_checks(session)
    yield from checks.state_checks(session)
    try:
        with session.api() as api:
            yield from checks.api_checks(session, api)
            if campaign_id:
                yield from checks.round_trip_checks(session, api, campaign_id)
    except ReconcilerError as error:
        yield checks.Check(Mark.BAD, error.message, error.hint)
