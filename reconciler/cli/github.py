"""`reconciler github`: what the steps of a workflow on GitHub do beside planning and applying."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import state_options
from reconciler.errors import ExitCode, ReconcilerError, Refused, Usage

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.github.context import Job, PullRequest
    from reconciler.github.drift import Finding
    from reconciler.state.git import Git

_LONGEST_FILE = 4 * 2**20  # bytes of what a step has printed that are read
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("github", short_help="Tell pull requests and issues, in a workflow on GitHub.")
def command() -> None:
    """Tell pull requests and issues, in a workflow on GitHub.

    These are for the steps that `reconciler init` sets up. They take the repository, the pull
    request and the token from the variables that GitHub sets for every step.

    \b
    Examples:
      reconciler github comment plan.md
      reconciler github drift
    """


@command.command("check", short_help="Refuse a pull request that edits the recorded state.")
@click.pass_obj
def check(root: Path) -> int:
    """Refuse a pull request that edits the recorded state or the ledger of calls.

    It compares the merge commit that GitHub has made of the pull request with its first parent, so
    the checkout needs a depth of two: `fetch-depth: 2`.

    \b
    Example:
      reconciler github check
    """
    from reconciler.cli.provenance import parents  # noqa: PLC0415 - when it runs
    from reconciler.github.context import Job  # noqa: PLC0415 - as above
    from reconciler.state.file import STATE_NAME  # noqa: PLC0415 - as above
    from reconciler.state.git import Git  # noqa: PLC0415 - as above

    pull_request = _pull_request(Job.current())
    made_of = parents(Path.cwd())
    if len(made_of) != 2 or made_of[1] != pull_request.head:  # noqa: PLR2004 - of a merge
        raise Refused(
            "what is checked out is not the merge of this pull request, so nobody can tell what it "
            "changes",
            hint="let actions/checkout choose what to check out (no `ref:`), with `fetch-depth: 2`",
        )
    git = Git(Path.cwd())
    path = os.path.relpath(Path(os.path.realpath(root)) / STATE_NAME, git.toplevel())
    try:
        before = git.file_at(made_of[0], path)
    except ReconcilerError as error:
        raise Refused(
            "the branch that this pull request goes into is not there to compare with",
            hint="give actions/checkout `fetch-depth: 2`",
        ) from error
    if git.file_at("HEAD", path) == before:
        _require_same_ledger(git, made_of[0], os.path.dirname(path))  # noqa: PTH120 - git's own
        click.echo(f"{path} is as the branch has it.")
        return ExitCode.DONE
    click.echo(f"::error file={path}::Only the reconciler writes this file. Take it out of here.")
    branch = f"origin/{os.environ.get('GITHUB_BASE_REF') or 'main'}"
    back = f"git checkout {branch} -- {path}" if before is not None else f"git rm --cached {path}"
    raise Refused(
        f"this pull request edits {path}, which only the reconciler writes: a record that is wrong "
        "can call people twice",
        hint=f"take it out: git fetch && {back} && git commit; to mend it on purpose, push it "
        "to its branch yourself",
    )


def _require_same_ledger(git: Git, base: str, root: str) -> None:
    """Refuse a pull request that edits the ledger of calls, which lies beside the state."""
    from reconciler.state.calls import DIRECTORY, SUFFIX  # noqa: PLC0415 - when it runs

    ledger = f"{root}/{DIRECTORY}" if root else DIRECTORY
    if git.files_below("HEAD", ledger, SUFFIX) == git.files_below(base, ledger, SUFFIX):
        return
    click.echo(f"::error::Only the reconciler writes {ledger}. Take that out of here.")
    raise Refused(
        f"this pull request edits {ledger}, which only the reconciler writes: it says who was "
        "called how often",
        hint=f"take it out: git fetch && git checkout "
        f"origin/{os.environ.get('GITHUB_BASE_REF') or 'main'} -- {ledger} && git commit; what is "
        "damaged there: reconciler ledger rebuild",
    )


@command.command("comment", short_help="Show the plan in the pull request and the run's summary.")
@click.argument("file", type=_FILE, required=False)
@click.option("--outdated", is_flag=True, help="Only mark the plan shown so far as outdated.")
@click.pass_obj
def comment(root: Path, file: Path | None, outdated: bool) -> int:  # noqa: FBT001 - click passes flags
    """Show the plan in the pull request and in the run's summary.

    FILE is what `reconciler plan --format markdown` printed. There is one comment for each batches
    root, and it is written anew in place. A FILE that is empty or not there says that no plan could
    be made, and the comment then says so. In a fork's pull request, where the job may not write,
    the plan is in the summary alone.

    \b
    Examples:
      reconciler github comment plan.md
      reconciler github comment --outdated
    """
    from reconciler.github import sticky  # noqa: PLC0415 - when it runs
    from reconciler.github.context import Job  # noqa: PLC0415 - as above
    from reconciler.render.markers import without_markers  # noqa: PLC0415 - as above

    if outdated == (file is not None):
        raise click.UsageError("Give a FILE, or --outdated.")
    job = Job.current()
    pull_request = _pull_request(job)
    plan = "" if file is None else _read(file)
    shown = str(root)
    if plan.strip() and not sticky.is_plan(plan, shown):
        raise Usage(
            f"{file} is not a plan of {shown}",
            hint="write it with: reconciler plan --format markdown > FILE",
        )
    if not outdated:
        plan = plan if plan.strip() else sticky.no_plan(shown, pull_request.head, job.address)
        job.summarise(without_markers(plan))
    if pull_request.outside:
        if not outdated:
            click.echo(
                f"::notice::The plan is in the summary of this run, not in a comment: "
                f"{pull_request.outside}, and GitHub lets its job only read."
            )
        return ExitCode.DONE
    github, author = job.github(), _author(root)
    if not outdated:
        address = sticky.show(github, pull_request.number, shown, plan, author=author)
        click.echo(f"shown in {address or f'#{pull_request.number}'}")
    elif sticky.withdraw(github, pull_request.number, shown, pull_request.head, author=author):
        click.echo(f"marked as outdated in #{pull_request.number}")
    return ExitCode.DONE


@command.command("outcome", short_help="Tell what an apply did: commit status, merged request.")
@click.argument("printed", type=_FILE, metavar="MARKDOWN")
@click.argument("said", type=_FILE, metavar="LOG")
@click.option(
    "--ended",
    type=click.Choice(["success", "failure", "cancelled", "skipped"]),
    required=True,
    help="How the step ended: ${{ steps.ID.outcome }}.",
)
@click.pass_obj
def outcome(root: Path, printed: Path, said: Path, ended: str) -> int:
    """Tell what an apply did: in the commit status and in the merged pull request.

    MARKDOWN is what `reconciler apply --format markdown` printed and LOG what it wrote to stderr.
    Either may be empty or missing: a run that was killed has told less, and that is what is told.

    \b
    Example:
      reconciler github outcome apply.md apply.log --ended success
    """
    from reconciler.github import outcome as outcomes  # noqa: PLC0415 - when it runs
    from reconciler.github.context import Job  # noqa: PLC0415 - as above

    job, shown = Job.current(), str(root)
    result = outcomes.outcome(_read(printed), _read(said), ended, shown)
    job.summarise(outcomes.commented(result, job))
    github = job.github()
    outcomes.set_status(github, job, shown, result)
    click.echo(f"commit status: {result.state}: {result.headline}")
    number = outcomes.merged_pull_request(github, job)
    if number is not None:
        address = outcomes.comment_on(github, number, job, shown, result, author=_author(root))
        click.echo(f"told in {address or f'#{number}'}")
    return ExitCode.DONE


@command.command("drift", short_help="Keep one issue about batches that are not as recorded.")
@state_options
@click.pass_obj
def drift(root: Path, /, **state: Any) -> int:
    """Keep one issue about recorded batches that are not as they are recorded.

    It is opened when there is something to tell, written anew when that changes, and closed when
    there is nothing more. Nothing is undone: whoever paused a batch in the vendor's console may
    know more than a spec.

    \b
    Example:
      reconciler github drift --state git
    """
    from reconciler.cli.session import Session, StateOptions  # noqa: PLC0415 - when it runs
    from reconciler.github import drift as issues  # noqa: PLC0415 - as above
    from reconciler.github.context import Job  # noqa: PLC0415 - as above

    job = Job.current()
    session = Session.open(root, StateOptions(**state))
    findings, unread = _findings(session)
    for problem in unread:
        click.echo(f"warning: {problem}", err=True)
    if unread and not findings:
        raise ReconcilerError(
            "the API could not be read whole, so nobody can say that all is as recorded",
            hint="run the job again when the API answers",
        )
    author = session.settings.reviewed_plan_author
    done, address = issues.report(job.github(), str(root), findings, run=job.address, author=author)
    for finding in findings:
        click.echo(f"{finding.name}: {finding.message}")
    job.summarise(
        issues.body(str(root), findings, job.address)
        if findings
        else f"All batches of `{root}` are as recorded."
    )
    click.echo(f"issue {done}{f': {address}' if address else ''}")
    return ExitCode.DONE


def _findings(session: Session) -> tuple[list[Finding], list[str]]:
    """Look at what is recorded; give what is not so, and what could not be looked at."""
    import threading  # noqa: PLC0415 - when it runs

    from reconciler.cli.planning import plan_with  # noqa: PLC0415 - as above
    from reconciler.cli.readings import Reader  # noqa: PLC0415 - as above
    from reconciler.github.drift import Finding, as_finding  # noqa: PLC0415 - as above
    from reconciler.plan.actions import ActionKind  # noqa: PLC0415 - as above
    from reconciler.plan.drift import drift as differences  # noqa: PLC0415 - as above
    from reconciler.plan.facts import Facts  # noqa: PLC0415 - as above

    specs, store = session.specs(), session.store()
    recorded = store.load()
    if not recorded.batches:
        return [], []
    parallelism = session.settings.parallelism
    with session.api() as api:
        plan = plan_with(
            session,
            specs,
            recorded,
            session.rules(),
            api=api,
            parallelism=parallelism,
            store=store,
        )
        reader = Reader(api, session.clock, parallelism=parallelism, stop=threading.Event())
        reading = reader.read(recorded)
    seen = Facts(batches=reading.batches, campaigns=reading.campaigns)
    findings = {as_finding(each) for each in differences(recorded, seen)}
    unread = [message for message, _ in reading.problems]
    for each in plan.diagnostics:
        if each.field in recorded.batches and not each.file:
            findings.add(as_finding(each))
        elif not each.field and not each.file:
            unread.append(each.message)
    findings.update(
        Finding(action.name, action.message, action.hint)
        for action in plan.pending
        if action.kind is ActionKind.BLOCKED and action.name in recorded.batches
    )
    return sorted(findings), list(dict.fromkeys(unread))


def _pull_request(job: Job) -> PullRequest:
    found = job.pull_request()
    if found is None:
        raise Usage(
            "this run is about no pull request",
            hint="let the workflow run `on: pull_request`",
        )
    return found


def _author(root: Path) -> str:
    """Give who the workflow writes as: a setting, and its default where settings are broken."""
    from reconciler.github.context import WORKFLOW_AUTHOR  # noqa: PLC0415 - when it runs
    from reconciler.spec.config.settings import load_settings  # noqa: PLC0415 - imports ruamel.yaml

    try:
        return load_settings(root).reviewed_plan_author
    except ReconcilerError:
        return WORKFLOW_AUTHOR


def _read(path: Path) -> str:
    """Read what a step has written; nothing where it has not come to that."""
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE).decode(errors="replace")
    except OSError:
        return ""
