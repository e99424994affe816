"""`reconciler init`: everything that a repository of call batches needs, written once."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from reconciler.cli.scaffold import STATE_BRANCH
from reconciler.errors import ExitCode, ReconcilerError, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.cli.scaffold import Piece, Source, Wanted

_ON_GITHUB = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$")
_SOURCE = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})")
_HERE = Path()
_USUAL = PurePosixPath("batches")


@click.command("init", short_help="Set up a repository: workflows, schemas, an example.")
@click.argument(
    "directory", type=click.Path(path_type=Path, file_okay=False), default=_HERE, metavar="[DIR]"
)
@click.option(
    "--protected",
    is_flag=True,
    help="Keep state on a branch of its own, for a default branch that workflows may not push to. "
    "Takes no value: no branch is named here.",
)
@click.option(
    "--action",
    "source",
    metavar="OWNER/REPO@COMMIT",
    help="Where workflows get the reconciler from. [default: where this one was installed from]",
)
@click.pass_obj
def command(root: Path, /, directory: Path, source: str | None, *, protected: bool) -> int:
    """Set up a repository of call batches: workflows for GitHub, schemas, settings, an example.

    DIR is the top of the repository, by default this directory. It is made if it is not there, but
    not with --protected, where its name may have been meant for a branch. Nothing that is there is
    overwritten: where a file lacks something, what to add is told. Run again, it changes nothing.

    \b
    Examples:
      reconciler init
      reconciler init --protected             the state lives on a branch of its own
      reconciler init ../calls                another directory
      reconciler --batches batches/production init
    """
    from reconciler.cli.scaffold import Wanted, pieces  # noqa: PLC0415 - when it runs

    if protected and not directory.is_dir():
        raise Usage(
            f"there is no directory {directory}, and --protected takes no value",
            hint=f"for this directory: reconciler init --protected; for a new one, first: mkdir "
            f"{shlex.quote(str(directory))}",
        )
    wanted = Wanted(
        _within(root),
        branch=_branch(directory),
        protected=protected,
        source=_given(source) if source else _installed_from(),
    )
    told = [_place(directory, piece) for piece in pieces(wanted, directory)]
    click.echo("".join(f"{what:<8}{path}\n" for what, path, _ in told), nl=False)
    for _, path, lacking in told:
        for each in lacking:
            click.echo(f"note: {path} was left as it is: {each}")
    if all(what != "wrote" for what, _, _ in told):
        click.echo("Nothing was written: every file is there already.")
    click.echo(_next(directory, wanted), nl=False)
    return ExitCode.DONE


def _branch(directory: Path) -> str:
    """Choose the branch whose pushes apply: the one the workflow names, unless it is another."""
    from reconciler.cli.provenance import default_branch, merged_into  # noqa: PLC0415 - when it runs
    from reconciler.cli.scaffold import runs_on  # noqa: PLC0415 - as above

    named = runs_on(directory / ".github/workflows/apply.yml")
    if len(named) == 1 and merged_into(directory, named) is None:
        return named[0]
    return default_branch(directory) or "main"


def _place(directory: Path, piece: Piece) -> tuple[str, str, list[str]]:
    """Write a file where there is none; tell what was done, and what an existing one lacks."""
    path = directory / piece.path
    try:
        if path.is_file():
            text = path.read_text("utf-8", errors="replace")
            if text == piece.text:
                return "kept", piece.path, []
            if text not in piece.replaces:
                return "kept", piece.path, piece.lacking(path)
            path.write_text(piece.text, encoding="utf-8")
            return "wrote", piece.path, []
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(piece.text)
    except OSError as error:
        raise ReconcilerError(
            f"cannot write {path}: {error.strerror}",
            hint="move what is in the way, then run this again: it goes on where it stopped",
        ) from error
    return "wrote", piece.path, []


def _within(root: Path) -> PurePosixPath:
    """Give the batches root as a path inside the repository. Raises `Usage`."""
    if root.is_absolute() or ".." in root.parts or not root.parts:
        raise Usage(
            f"{root} is no directory inside the repository",
            hint="name the repository as DIR, and the batches root as it is in there: "
            "reconciler --batches batches init DIR",
        )
    return PurePosixPath(root.as_posix())


def _given(source: str) -> Source:
    from reconciler.cli.scaffold import Source  # noqa: PLC0415 - when it runs

    found = _SOURCE.fullmatch(source)
    if found is None:
        raise Usage(
            f"--action {source} names no commit of a repository",
            hint="write the owner, the repository and a commit's 40 digits: OWNER/REPO@0123…",
        )
    return Source(found[1], found[2])


def _installed_from() -> Source | None:
    """Find the repository and commit that this program was installed from, as pip recorded it."""
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 - slow

    from reconciler.cli.provenance import cloned_from  # noqa: PLC0415 - when it runs
    from reconciler.cli.scaffold import Source  # noqa: PLC0415 - as above

    try:
        about = json.loads(distribution("call-batch-reconciler").read_text("direct_url.json") or "")
    except (PackageNotFoundError, ValueError):
        return None
    url, commit = about.get("url", ""), about.get("vcs_info", {}).get("commit_id")
    if url.startswith("file://"):
        url, commit = cloned_from(Path(url.removeprefix("file://")))
    found = _ON_GITHUB.search(url)
    return Source(found[1], commit) if found and commit else None


def _next(directory: Path, wanted: Wanted) -> str:
    """Say what to type next, in order."""
    steps = [*_looking(directory, wanted), *_repository(directory), *_settings(wanted)]
    paths = f"{wanted.root} schemas .github .gitattributes .gitignore"
    steps.append(
        f"Put your campaign and people into {wanted.root}/example.yaml, and open a pull request:\n"
        "git switch --create first-calls\n"
        f"git add {paths} && git commit --message 'First calls'\n"
        "git push --set-upstream origin first-calls && gh pr create --fill\n"
        "Its comment says who is called, and when. Nobody is before it is merged and approved."
    )
    shown = (step.replace("\n", "\n     ") for step in steps)
    return "\nNext:\n" + "".join(f"  {n}. {step}\n" for n, step in enumerate(shown, start=1))


def _looking(directory: Path, wanted: Wanted) -> Iterator[str]:
    into = "" if directory == _HERE else f"cd {shlex.quote(str(directory))}\n"
    root = "" if wanted.root == _USUAL else f"--batches {shlex.quote(str(wanted.root))} "
    yield (
        "See what was set up; nobody is called:\n"
        f"{into}reconciler {root}validate && reconciler {root}plan --sandbox"
    )
    if wanted.source is None:
        yield (
            "Tell the workflows where the reconciler comes from, its repository on GitHub:\n"
            f"reconciler {root}init --action OWNER/REPO@COMMIT"
        )


def _repository(directory: Path) -> Iterator[str]:
    from reconciler.cli.provenance import cloned_from  # noqa: PLC0415 - when it runs

    url, commit = cloned_from(directory)
    typed = [
        *([] if (directory / ".git").exists() else ["git init --initial-branch main"]),
        *([] if commit else ["git commit --allow-empty --message Begin"]),
        *(["git push --set-upstream origin HEAD"] if url and not commit else []),
        *([] if url else ["gh repo create --private --source . --push"]),
    ]
    if typed:
        yield (
            "Give it a repository on GitHub, with a branch to open requests against:\n"
            + "\n".join(typed)
        )


def _settings(wanted: Wanted) -> Iterator[str]:
    yield (
        "In its Settings > Environments make `calls`, with required reviewers: without them a\n"
        "merge calls people at once. Then set the token, which plans and applies use:\n"
        "gh secret set GRAINE_API_KEY"
    )
    if wanted.protected:
        yield (
            f"In its Settings > Rules protect {wanted.branch}, and forbid force pushes to and\n"
            f"deletion of {STATE_BRANCH}. The first apply makes that branch."
        )
