"""`reconciler schema`: writes the JSON Schemas."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.errors import ReconcilerError


@click.command("schema", short_help="Write the JSON Schemas that editors and checks use.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("schemas"),
    show_default=True,
    metavar="DIR",
    help="The directory to write them to.",
)
def command(out: Path) -> None:
    """Write the JSON Schemas that editors and checks use.

    \b
    An editor reads them through a spec's first line:
      # yaml-language-server: $schema=../schemas/batch.schema.json

    \b
    Example:
      reconciler schema --out schemas
    """
    from reconciler.render.schemas import all_schemas  # noqa: PLC0415 - imports pydantic

    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in all_schemas().items():
            (out / name).write_text(text, encoding="utf-8")
            click.echo(out / name)
    except OSError as error:
        raise ReconcilerError(
            f"cannot write {out}: {error.strerror}",
            hint="name a directory that can be written: --out DIR",
        ) from error
