"""`reconciler pin`: writes into specs what their contact lists are."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.errors import ExitCode, InvalidSpecs, ReconcilerError, Usage

if TYPE_CHECKING:
    from reconciler.model import Diagnostic
    from reconciler.spec.lists.pins import Pinning
    from reconciler.spec.lists.reader import Lists

_DIGITS = 12


@click.command("pin", short_help="Write into specs which contact list was reviewed.")
@click.argument("specs", metavar="[SPEC]...", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when a pin is stale.")
@click.pass_obj
def command(root: Path, /, specs: tuple[str, ...], *, check: bool) -> int:
    """Write into specs which contact list was reviewed: its sha256 and how many it holds.

    Fetches each list, checks all of it, and writes `sha256` and `count` below `contacts`. Nothing
    else of a spec is touched. A list that changes afterwards is refused, until it is pinned anew.

    SPEC is a file or a name, be it its path's or what `reconcile.name` says. Without one, every
    spec that has a pin or needs one.

    \b
    Examples:
      reconciler pin batches/renewals/2026-05.yaml
      reconciler pin --check                       in a pipeline: do all pins hold?
    """
    from reconciler.spec.lists.pins import pinning  # noqa: PLC0415 - as above
    from reconciler.spec.lists.reader import Lists  # noqa: PLC0415 - imports pydantic, ruamel.yaml

    lists = Lists(root, str(root))
    wrong: list[Diagnostic] = []
    stale = 0
    paths = [_below(lists, spec) for spec in specs] or _worth_pinning(lists)
    if not paths:
        what = "check" if check else "pin"
        click.echo(f"no spec below {root} has a pin or needs one; nothing to {what}")
    for path in paths:
        try:
            found = pinning(lists, path)
        except InvalidSpecs as error:
            wrong += error.diagnostics
            continue
        if found is not None:
            stale += found.stale
            _settle(root, found, check=check)
        elif specs:
            click.echo(f"{root / path}: the contacts stand in the spec itself; nothing to pin")
    if wrong:
        raise InvalidSpecs(wrong, hint="mend these, and pin again: only sound lists are pinned")
    return ExitCode.FAILED if check and stale else ExitCode.DONE


def _below(lists: Lists, spec: str) -> str:
    """Find the spec that is meant: a file, a path below the root, or a name. Raises `Usage`."""
    from reconciler.spec.discover import SUFFIXES, is_within  # noqa: PLC0415 - as above

    root = lists.root
    real = os.path.realpath(root)
    tried = [Path(spec), root / spec, *(root / f"{spec}{suffix}" for suffix in SUFFIXES)]
    for path in tried:
        if path.is_file() and path.suffix in SUFFIXES:
            if not is_within(path, real):
                message = f"{path} is not below {root}"
                raise Usage(message, hint="name its root: reconciler --batches DIR pin …")
            # As it is named, not where a symlink leads: the name is what a spec is known by.
            return os.path.relpath(path.parent.resolve() / path.name, real).replace(os.sep, "/")
    return _named(lists, spec)


def _named(lists: Lists, name: str) -> str:
    """Find the spec that gives itself a name. Raises `Usage` where it is not exactly one."""
    from reconciler.spec.lists.pins import own_name  # noqa: PLC0415 - as above
    from reconciler.spec.names import normalised  # noqa: PLC0415 - as above

    wanted = normalised(name)
    found = [path for path in _specs(lists) if own_name(lists, path) == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"{len(found)} specs have the name {name}: {', '.join(found)}"
        raise Usage(message, hint="name the file")
    message = f"there is no spec {name} below {lists.root}"
    raise Usage(message, hint="name a file, such as: reconciler pin batches/renewals/2026-05.yaml")


def _worth_pinning(lists: Lists) -> list[str]:
    """Find the specs that have a pin or need one. Raises `Usage` when there is no root."""
    from reconciler.spec.lists.pins import worth_pinning  # noqa: PLC0415 - as above

    return [path for path in _specs(lists) if worth_pinning(lists, path)]


def _specs(lists: Lists) -> list[str]:
    """Find all specs. Raises `Usage` when there is no root."""
    from reconciler.spec.discover import discover  # noqa: PLC0415 - as above

    try:
        found = discover(lists.root)
    except OSError as error:
        message = f"the batches directory {lists.shown} cannot be read"
        raise Usage(message, hint="name it: reconciler --batches DIR pin") from error
    return [one.path for one in found if one.problem is None]


def _settle(root: Path, found: Pinning, *, check: bool) -> None:
    """Write one spec's pin where it is stale, and say what it is."""
    now = f"sha256 {found.sha256[:_DIGITS]}…, {found.count:,} contacts"
    spec = root / found.path
    if not found.stale:
        click.echo(f"{spec}: {found.listed} is as pinned: {now}")
        return
    before = ""
    if found.written:
        was = [f"sha256 {found.written['sha256'][:_DIGITS]}…"] if "sha256" in found.written else []
        if count := found.written.get("count"):
            was.append(f"{int(count):,} contacts" if count.isdecimal() else f"{count} contacts")
        before = f" (was {', '.join(was)})"
    if check:
        click.echo(f"{spec}: the pin is stale: {found.listed} is {now}{before}")
        return
    _write(spec, found)
    click.echo(f"{spec}: pinned {found.listed}: {now}{before}")


def _write(spec: Path, found: Pinning) -> None:
    """Put the pinned spec in place of the one that was read. Raises `ReconcilerError`."""
    from reconciler.spec.lists.pins import Unpinnable  # noqa: PLC0415 - as above

    try:
        data = found.pinned()
    except Unpinnable:
        raise ReconcilerError(
            f"{spec} is written in a way in which its pin cannot be put in without touching more",
            hint=f"write below `contacts`: `sha256: {found.sha256}` and `count: {found.count}`",
        ) from None
    real = Path(os.path.realpath(spec))
    if real.read_bytes() != found.data:
        raise ReconcilerError(f"{spec} was changed meanwhile", hint="type the command again")
    handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), real.stat().st_mode)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(real)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
