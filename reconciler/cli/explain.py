"""`reconciler explain`: why calls are not going out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import format_option, name_argument, state_options
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.wording import as_typed, tell_of_the_sandbox
from reconciler.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.plan.progress import Reading
    from reconciler.state.document import State


@click.command("explain", short_help="Say why calls are not going out, and what to do.")
@name_argument
@format_option("text", "json")
@state_options
@click.pass_obj
def command(root: Path, /, name: str, output: str, **state: Any) -> int:
    """Say why the calls of NAME are not going out, and what to do. Changes nothing.

    It looks at what is recorded, at the batch, at its campaign (paused, outside working hours) and
    at the campaign's other batches (which may take all calls at once). A name that is not recorded
    and that no spec has is a failure.

    \b
    Example:
      reconciler explain renewals/2026-05
    """
    from reconciler.plan import explain as deciding  # noqa: PLC0415 - when it runs
    from reconciler.plan.progress import Reading  # noqa: PLC0415 - as above
    from reconciler.render import explain as rendering  # noqa: PLC0415 - as above
    from reconciler.render import structured  # noqa: PLC0415 - as above
    from reconciler.spec.config.freeze import frozen_here  # noqa: PLC0415 - as above

    session = Session.open(root, StateOptions(**state))
    recorded = session.store().load()
    record = recorded.record(name)
    generation = record.current if record else None
    frozen = frozen_here(session.root, session.settings)
    explanations: tuple[deciding.Explanation, ...]
    known: bool | None = True
    if record is None:
        reading = Reading(at=session.clock.now())
        known = _has_spec(session.root, name)
        findings = deciding.not_recorded(name, recorded, frozen, has_spec=known)
        explanations = (deciding.Explanation(1, None, deciding.Cause.NOT_CREATED, findings),)
    else:
        reading = _read(session, recorded, name)
        explanations = deciding.explain_name(name, record, reading, frozen)
    for message, _ in reading.problems:
        click.echo(f"warning: {message}", err=True)
    if output == "json":
        document = rendering.explain_document(name, generation, explanations, reading)
        click.echo(structured.dumps(document), nl=False)
    else:
        text = rendering.explain_text(name, generation, explanations, reading)
        click.echo(as_typed(text), nl=False)
    return ExitCode.FAILED if reading.problems or not known else ExitCode.DONE


def _has_spec(root: Path, name: str) -> bool | None:
    """Whether a spec has a name; None where one with mistakes may have it."""
    from reconciler.spec.load import load_specs  # noqa: PLC0415 - only for what is not recorded

    specs = load_specs(root)
    found = any(spec.name == name for spec in specs.specs)
    return found or (None if specs.errors else False)


def _read(session: Session, recorded: State, name: str) -> Reading:
    from reconciler.cli.readings import Reader  # noqa: PLC0415 - when it runs

    if session.options.sandbox:
        tell_of_the_sandbox(session.sandbox_directory())
    stop = threading.Event()
    with session.api(stop=stop) as api:
        parallelism = session.settings.parallelism
        return Reader(api, session.clock, parallelism=parallelism, stop=stop).read(recorded, [name])
