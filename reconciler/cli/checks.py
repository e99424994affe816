"""What `doctor` proves, one check at a time: what was found and, if need be, what to do."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reconciler.errors import ApiError, ReconcilerError
from reconciler.observed import Created, Rejected
from reconciler.policy.wording import people
from reconciler.render.words import counted, span
from reconciler.state.git import PushFate
from reconciler.state.git_store import GitStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.api.client import HttpBatchApi
    from reconciler.cli.session import Session
    from reconciler.model import SpecSet
    from reconciler.state.git import Git

_LEAST_GIT = (2, 29)
_MUCH_SKEW = timedelta(seconds=60)
_SCHEMA_LINE = "# yaml-language-server: $schema="
_FICTITIOUS = "+12025550143"
"""A number of the range that is set aside for fiction: should a call go out, nobody answers."""


class Mark(Enum):
    """How a check ended."""

    OK = "ok"
    ODD = "odd"
    BAD = "bad"


class Check(Struct, frozen=True):
    """One thing that was checked."""

    mark: Mark
    what: str
    hint: str = ""


def git_check(session: Session) -> Check:
    """Check that git is there, and new enough for state in git."""
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True)  # noqa: S607 - the git on the path is the user's
    except (OSError, subprocess.SubprocessError):
        mark = Mark.BAD if session.in_git else Mark.ODD
        return Check(mark, "git is not installed", "install git; state in git needs it")
    version = done.stdout.split()[2]
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _LEAST_GIT:
        return Check(Mark.ODD, f"git {version} is old", "state in git needs git 2.29 or later")
    return Check(Mark.OK, f"git {version}")


def workflow_checks(session: Session) -> Iterator[Check]:
    """Check that each workflow of ours runs on this repository's branch, where there is one."""
    from reconciler.cli.provenance import top_of  # noqa: PLC0415 - when it runs
    from reconciler.cli.scaffold import elsewhere, runs_on  # noqa: PLC0415 - as above

    top = top_of(session.root)
    for path in sorted((top / ".github/workflows").glob("*.y*ml")) if top else ():
        names = runs_on(path)
        if not names:
            continue
        odd = elsewhere(path)
        if odd is None:
            yield Check(Mark.OK, f"{path.name} runs on {', '.join(f'`{each}`' for each in names)}")
        else:
            told, line = odd
            yield Check(
                Mark.ODD,
                f"{path.name} {told}: a merge starts nothing",
                f"write into .github/workflows/{path.name}: {line}",
            )


def specs_checks(session: Session) -> Iterator[Check]:
    """Check that the specs are sound, and that editors know their schema."""
    try:
        specs = session.specs()
    except ReconcilerError as error:
        yield Check(Mark.BAD, error.message, "see all of them: reconciler validate")
        return
    yield Check(
        Mark.OK,
        f"{counted(len(specs.specs), 'valid spec')}, "
        f"{people(sum(spec.contacts for spec in specs.specs))}",
    )
    without = [spec.file for spec in specs.specs if not _has_schema_line(session, spec.path)]
    if without:
        more = f" and {len(without) - 1} more" if len(without) > 1 else ""
        yield Check(
            Mark.ODD,
            f"no schema line in {without[0]}{more}, so editors cannot help",
            f"begin each spec with: {_SCHEMA_LINE}…/schemas/batch.schema.json",
        )


def _has_schema_line(session: Session, path: str) -> bool:
    try:
        with (session.root / path).open(encoding="utf-8-sig", errors="replace") as file:
            return any(
                line.startswith(_SCHEMA_LINE) for _, line in zip(range(5), file, strict=False)
            )
    except OSError:
        return False


def api_checks(session: Session, api: HttpBatchApi) -> Iterator[Check]:
    """Check that the API answers, takes the token, and shows every campaign of the specs."""
    try:
        valid = api.validate_token()
    except ApiError as error:
        yield Check(Mark.BAD, error.message, error.hint)
        return
    if valid is False:
        yield Check(
            Mark.BAD,
            "the API does not take the token",
            "set GRAINE_API_KEY to a token that was not revoked",
        )
        return
    told = "the token is valid" if valid else "the API does not tell whether the token is valid"
    yield Check(Mark.OK, f"the API answers; {told}")
    yield from _campaign_checks(session, api)
    skew = abs(api.skew)
    mark = Mark.ODD if skew > _MUCH_SKEW else Mark.OK
    off = f"{span(skew.total_seconds())} off the API's" if skew else "in step with the API's"
    hint = "set the clock; until then the API's is gone by" if mark is Mark.ODD else ""
    yield Check(mark, f"this machine's clock is {off}", hint)


def _campaign_checks(session: Session, api: HttpBatchApi) -> Iterator[Check]:
    for campaign_id in sorted({spec.campaign_id for spec in _sound(session).specs}):
        try:
            campaign = api.campaign(campaign_id)
        except ApiError as error:
            yield Check(Mark.BAD, f"campaign {campaign_id}: {error.message}", error.hint)
            continue
        if campaign is None:
            yield Check(
                Mark.BAD,
                f"the API knows no campaign {campaign_id}",
                "check campaign_id in the spec, and whose token GRAINE_API_KEY is",
            )
            continue
        odd = campaign.status not in {None, "active"}
        name = f" ({campaign.name})" if campaign.name else ""
        yield Check(
            Mark.ODD if odd else Mark.OK,
            f"campaign {campaign_id}{name}: {campaign.status or 'readable'}, "
            f"{campaign.timezone or 'timezone not told'}",
            "its batches do not call until it is active" if odd else "",
        )


def _sound(session: Session) -> SpecSet:
    from reconciler.spec.load import load_specs  # noqa: PLC0415 - imports ruamel.yaml

    return load_specs(session.root)


def state_checks(session: Session) -> Iterator[Check]:
    """Check that the state can be read and, where it lives on a branch, pushed."""
    try:
        store = session.store()
        with store.exclusive():
            state = store.load()
    except ReconcilerError as error:
        yield Check(Mark.BAD, error.message, error.hint)
        return
    yield Check(Mark.OK, f"state in {store.where}: {counted(len(state.batches), 'batch')} recorded")
    if isinstance(store, GitStore):
        yield _push_check(store.git, store.place.remote, session.run)


def _push_check(git: Git, remote: str, run: str) -> Check:
    """Prove by a branch of its own that pushes go through, and that a lost race is refused."""
    branch = f"reconciler-doctor/{run[:12]}"
    first = git.commit_file("doctor", b"1\n", f"Try a push\n\nRun: {run}\n", parent=None, seconds=0)
    rival = git.commit_file("doctor", b"2\n", f"Try a race\n\nRun: {run}\n", parent=None, seconds=0)
    try:
        pushed = git.push(remote, first, branch)
        if pushed.fate is not PushFate.DONE:
            from reconciler.state.git import advice  # noqa: PLC0415 - only on failure

            return Check(
                Mark.BAD,
                f"a push to {remote} does not go through: {pushed.told}",
                advice(pushed.told),
            )
        raced = git.push(remote, rival, branch)
    except ReconcilerError as error:
        return Check(Mark.BAD, error.message, error.hint)
    finally:
        git.delete_branch(remote, branch)
    if raced.fate is not PushFate.MOVED:
        return Check(
            Mark.BAD,
            f"{remote} let a push overwrite another's ({raced.fate.value})",
            "state cannot live there: forbid non-fast-forward pushes",
        )
    return Check(Mark.OK, f"pushes to {remote} go through, and a lost race is refused")


def round_trip_checks(session: Session, api: HttpBatchApi, campaign_id: str) -> Iterator[Check]:
    """Prove that metadata comes back: create a batch a year ahead, read it, cancel it."""
    key = f"doctor-{session.run}"
    start = session.clock.now() + api.skew + timedelta(days=365)
    body: dict[str, Any] = {
        "campaign_id": campaign_id,
        "scheduled_start": f"{start:%Y-%m-%dT%H:%M:%S}Z",
        "contacts": [
            {"phone_number": _FICTITIOUS, "call_variables": {"callee_name": "Round Trip"}}
        ],
        "metadata": {"reconciler": {"key": key, "digest": "doctor", "name": "doctor"}},
    }
    outcome = api.create(json.dumps(body).encode(), key)
    if isinstance(outcome, Rejected):
        yield Check(Mark.BAD, f"the API rejected the trial batch: {outcome.reason}", outcome.hint)
        return
    if not isinstance(outcome, Created):
        yield Check(
            Mark.BAD,
            f"nobody can say whether the trial batch exists: {outcome.reason}",
            f"look in campaign {campaign_id} for a batch of 1 contact that starts in a year, and "
            "cancel it",
        )
        return
    yield from _read_back(api, outcome.batch_id, key)
    try:
        api.cancel(outcome.batch_id)
    except ApiError as error:
        yield Check(
            Mark.BAD,
            f"the trial batch {outcome.batch_id} could not be cancelled: {error.message}",
            "cancel it in the vendor's console; it starts in a year",
        )
    else:
        yield Check(Mark.OK, f"the trial batch {outcome.batch_id} is cancelled")


def _read_back(api: HttpBatchApi, batch_id: str, key: str) -> Iterator[Check]:
    try:
        batch = api.batch(batch_id)
    except ApiError as error:
        yield Check(Mark.BAD, f"the trial batch cannot be read: {error.message}", error.hint)
        return
    if batch is None or batch.key != key:
        yield Check(
            Mark.BAD,
            "metadata does not come back: a create whose answer is lost could not be found again",
            "set `unknown: hold` in reconciler.yaml, and ask the vendor about metadata",
        )
        return
    yield Check(Mark.OK, "metadata comes back: a create whose answer is lost is found by its key")
