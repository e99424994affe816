"""The command tree, with each command's help line but none of its imports."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import __version__
from reconciler.cli.wording import FOR_PROGRAMS, ROOT, as_typed
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "validate": "Check every spec, without asking the API.",
    "plan": "Show what apply would do, and whom it would call.",
    "apply": "Create what is new, exactly once, and record the ids.",
    "status": "Show recorded batches with live counters.",
    "explain": "Say why calls are not going out, and what to do.",
    "results": "Write what became of each contact, as CSV or JSONL.",
    "state": "Read what is recorded.",
    "resolve": "Settle a batch in doubt by hand.",
    "stop": "Stop calls at once, by hand, past the specs.",
    "adopt": "Record a batch that already exists.",
    "ledger": "Show or make anew who was called how often.",
    "pin": "Write into specs which contact list was reviewed.",
    "doctor": "Prove that token, API and state work, before any call.",
    "init": "Set up a repository: workflows, schemas, an example.",
    "schema": "Write the JSON Schemas that editors and checks use.",
    "completion": "Write what a shell needs to complete commands and names.",
    "sandbox": "Serve the embedded API: a stand-in that calls nobody.",
    "github": "Tell pull requests and issues, in a workflow on GitHub.",
}
"""Command → its help line, the same as in the command's own module (a test compares them)."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Give the commands in the order in which a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and give one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"reconciler.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415 - only for a typo

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"No such command '{args[0]}'.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what an error hints at is put as it would be typed here.

        Programs that asked for JSON are told of it, unless the command line itself is wrong.
        """
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if isinstance(error, ReconcilerError):
                error.hint = as_typed(error.hint)
            inner = ctx.meta.get(FOR_PROGRAMS)
            if inner is not None:
                from reconciler.cli.failing import tell_programs  # noqa: PLC0415 - for an error

                tell_programs(inner, error)
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands from the table, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Environment: GRAINE_API_KEY (the token), GRAINE_API_URL, GRAINE_ORG_ID, "
    "GRAINE_TIMEOUT. Exit status: 0 done, 1 failed, 2 changes pending (plan --detailed-exitcode), "
    "3 an outcome is unknown, 4 refused, 64 usage.",
)
@click.version_option(__version__, prog_name="reconciler", message="%(prog)s %(version)s")
@click.option(
    "--batches",
    "root",
    type=click.Path(path_type=Path),
    default=ROOT,
    show_default=True,
    metavar="DIR",
    help="The batches root: specs, contact lists, reconciler.yaml and state.json.",
)
@click.pass_context
def app(ctx: click.Context, root: Path) -> None:
    """Reconcile outbound call batches: YAML specs in, batches created exactly once, ids recorded.

    \b
    The usual way:
      reconciler validate            check the specs
      reconciler plan                see who would be called, and when
      reconciler apply               create what is new

    \b
    Without a token and without calling anybody:
      reconciler plan --sandbox
      reconciler apply --sandbox
    """
    ctx.obj = root
