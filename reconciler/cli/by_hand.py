"""What `resolve` and `adopt` share: who decides, and whether the batch they name can be the one."""

from __future__ import annotations

import getpass
import os
import subprocess
from typing import TYPE_CHECKING, Any

import click

from reconciler.errors import Refused
from reconciler.model import without_numbers
from reconciler.state.document import Audit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reconciler.observed import Batch
    from reconciler.ports import BatchApi
    from reconciler.state.document import State


def why_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take the reason for a decision; it is kept with the record."""
    return click.option(
        "--why", default="", metavar="TEXT", help="Why; kept in the state and its history."
    )(command)


def audit(said: str, why: str, at: datetime) -> Audit:
    """Give the record of a decision by whoever runs this."""
    return Audit(who=_who(), at=at, said=said, why=without_numbers(" ".join(why.split())))


def one_line(decision: Audit) -> str:
    """Say a decision in one line, for a history."""
    reason = f": {decision.why}" if decision.why else ""
    return f"{decision.said}, by {decision.who}{reason}"


def existing_batch(
    api: BatchApi, recorded: State, batch_id: str, *, name: str, campaign_id: str
) -> Batch:
    """Read a batch that a person names. Raises `Refused` when it cannot be this name's."""
    owner = recorded.batch_ids().get(batch_id)
    if owner is not None:
        raise Refused(
            f"batch {batch_id} is recorded already, under {owner}",
            hint=f"see: reconciler state show {owner}",
        )
    batch = api.batch(batch_id)
    if batch is None:
        raise Refused(
            f"the API knows no batch {batch_id}",
            hint="copy the id from the vendor's console; is GRAINE_API_KEY of the right account?",
        )
    if batch.campaign_id not in {None, campaign_id}:
        raise Refused(
            f"batch {batch_id} is in campaign {batch.campaign_id}, {name} in {campaign_id}",
            hint="copy the id of a batch of that campaign from the vendor's console",
        )
    return batch


def _who() -> str:
    """Give the name of whoever runs this: the CI's word, git's, or the system's."""
    if os.environ.get("GITHUB_ACTOR"):
        return os.environ["GITHUB_ACTOR"]
    try:
        done = subprocess.run(
            ["git", "config", "user.name"],  # noqa: S607 - the git on the path is the user's
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
        return done.stdout.strip() or getpass.getuser()
    except (OSError, subprocess.SubprocessError, KeyError):
        return "unknown"
