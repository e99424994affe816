"""`reconciler validate`: every spec, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import format_option, state_options
from reconciler.cli.screen import show_diagnostics
from reconciler.cli.session import Session, StateOptions
from reconciler.errors import ExitCode, InvalidSpecs, ReconcilerError
from reconciler.system import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.model import Diagnostic, SpecSet


@click.command("validate", short_help="Check every spec, without asking the API.")
@click.option(
    "--without-secrets",
    is_flag=True,
    help="Leave contact lists unread that lie elsewhere or are encrypted, and say which.",
)
@format_option("text", "json", "github")
@state_options
@click.pass_obj
def command(root: Path, /, output: str, *, without_secrets: bool, **state: Any) -> int:
    """Check every spec, without asking the API.

    Reports everything that is wrong at once, each with file, line, column and how to mend it.

    \b
    Examples:
      reconciler validate
      reconciler --batches batches/production validate
      reconciler validate --format github     annotations on a pull request's lines
      reconciler validate --without-secrets   where credentials and keys must not be
    """
    from reconciler.model import Severity  # noqa: PLC0415 - only when the command runs
    from reconciler.spec.load import load_specs  # noqa: PLC0415 - imports ruamel.yaml
    from reconciler.spec.schedule import unsound_and_past  # noqa: PLC0415 - as below

    session, of_settings = _session(root, StateOptions(**state))
    specs = load_specs(root, secrets=not without_secrets)
    barred = _not_to_be_launched(session, specs, secrets=not without_secrets) if session else {}
    diagnostics = [
        *of_settings,
        *specs.diagnostics,
        *unsound_and_past(specs, SystemClock().now()),
        *(one for each in barred.values() for one in each),
    ]
    diagnostics.sort(key=lambda one: (one.file, one.line, one.column))
    wrong = {
        name for name, each in barred.items() if any(one.severity is Severity.ERROR for one in each)
    }
    _show(root, diagnostics, specs, wrong if session else None, output)
    bad = any(d.severity is Severity.ERROR for d in diagnostics)
    return ExitCode.FAILED if bad else ExitCode.DONE


def _session(root: Path, state: StateOptions) -> tuple[Session | None, tuple[Diagnostic, ...]]:
    """Read the settings. What is wrong with them keeps nobody from hearing of the specs too."""
    try:
        return Session.open(root, state), ()
    except InvalidSpecs as error:
        return None, error.diagnostics


def _not_to_be_launched(
    session: Session, specs: SpecSet, *, secrets: bool
) -> dict[str, list[Diagnostic]]:
    """Find start times that are over, and what the policy refuses, in what is not created yet.

    By the names of the specs. A warning of the policy is among them too.
    """
    from reconciler.cli.guarding import People, open_guard  # noqa: PLC0415 - as below
    from reconciler.spec.schedule import past_diagnostic  # noqa: PLC0415 - as above

    people = People.of(session, secrets=secrets)
    now = session.clock.now()
    try:
        store = session.store()
        state = store.load()
        people.open_ledger(store, state, now)
    except ReconcilerError:
        return {}  # what is created is not known here; `plan` tells why
    created = {request.digest for _, _, request in state.requests()}
    guard = open_guard(session, people)
    found: dict[str, list[Diagnostic]] = {}
    for spec in specs.specs:
        new = [request for request in spec.requests if request.digest not in created]
        if new:
            late = (past_diagnostic(spec, request, now, None) for request in new)
            told = [*(one for one in late if one), *guard.check([spec], now)]
            found[spec.name] = told
    return found


def _show(
    root: Path, diagnostics: list[Diagnostic], specs: SpecSet, barred: set[str] | None, output: str
) -> None:
    from reconciler.render import diagnostics as render  # noqa: PLC0415 - as above
    from reconciler.render.structured import dumps, validation_document  # noqa: PLC0415 - as above

    match output:
        case "json":
            click.echo(dumps(validation_document(diagnostics, files=specs.files)), nl=False)
        case "github":
            click.echo(render.as_github(diagnostics), nl=False)
        case _:
            show_diagnostics(diagnostics)
            if not specs.files and not diagnostics:
                click.echo(f"There is no spec in {root} yet: specs are the .yaml files below it.")
                return
            click.echo(_summary(specs, barred), err=bool(diagnostics))


def _summary(specs: SpecSet, barred: set[str] | None) -> str:
    """Count the specs that are valid and may be launched, their people, and the others.

    Without `barred`, nobody knows which of them may be launched.
    """
    if barred is None:
        told = _summary(specs, set()).removesuffix(".")
        return f"{told}; the settings have errors, so nothing was checked against the policy."
    from reconciler.policy.wording import people, verb  # noqa: PLC0415 - as above
    from reconciler.render.words import counted  # noqa: PLC0415 - as above

    good = [spec for spec in specs.specs if spec.name not in barred]
    called = people(sum(spec.contacts for spec in good))
    if len(good) == specs.files:
        return f"{counted(len(good), 'valid spec')}, {called}."
    of = counted(specs.files, "spec")
    told = f"{len(good):,} of {of} {verb(min(len(good) or 2, specs.files))} valid, {called}"
    if barred:
        return f"{told}; {len(barred):,} may not be launched."
    unread = specs.files - len(specs.specs)
    return f"{told}." if specs.errors else f"{told}; {unread:,} not checked: the list was not read."
