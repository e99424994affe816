"""What was agreed to before an apply begins: a plan shown to a person, or one that was saved.

One run plans several times, because somebody else stored a state first or more is known meanwhile.
What was agreed to once is not asked again, and nothing more than that is done without asking.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
import orjson

from reconciler.cli.screen import show_plan
from reconciler.errors import Refused
from reconciler.render.telling import asked

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.cli.session import Session
    from reconciler.plan.actions import Plan


class Agreement:
    """The agreement of one run.

    With `asks` a person is asked; `plan_file` is a saved plan that must be the same. The plan is
    shown `on_stderr` where stdout is for programs.
    """

    def __init__(
        self, session: Session, *, asks: bool, plan_file: Path | None, on_stderr: bool
    ) -> None:
        self._session = session
        self._asks = asks
        self._plan_file = plan_file
        self._on_stderr = on_stderr
        self._agreed: list[dict[str, Any]] | None = None

    @property
    def is_made(self) -> bool:
        """Whether a first plan of this run was agreed to."""
        return self._agreed is not None

    def require_saved_plan(self, plan: Plan) -> None:
        """Refuse to do anything but what a saved plan says. What cannot be compared is refused."""
        path = self._plan_file
        if path is None:
            return
        again = (
            "make a new one: reconciler plan --out plan.json; look at it, then: reconciler apply "
            "--plan plan.json"
        )
        try:
            saved = orjson.loads(path.read_bytes())
            essence, lineage = saved["essence"], saved["state"]["lineage"]
            serial = saved["state"]["serial"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refused(f"{path} is not a plan saved by plan --out", hint=again) from error
        if serial and lineage != plan.lineage:
            raise Refused(f"{path} was made against another state", hint=again)
        now = orjson.loads(orjson.dumps(plan.essence()))
        if self._agreed is not None and not _difference(now, essence):
            return  # planned again, with less to do than was reviewed: somebody did the rest
        if now != essence:
            names = sorted(
                {str(action.get("name")) for action in _difference(now, essence)}
                | {str(action.get("name")) for action in _difference(essence, now)}
            )
            raise Refused(
                f"{path} is stale: what there is to do has changed since for "
                f"{', '.join(names) or 'some specs'}",
                hint=again,
            )

    def ask(self, plan: Plan) -> float:
        """Show the plan and ask, unless nobody is to be asked. Give how long the answer took."""
        essence = plan.essence()
        asks = self._asks
        if self._agreed is not None and not _difference(essence, self._agreed):
            asks = False  # planned again, and all of it was agreed to already
        self._agreed = essence
        if plan.pending and (asks or not self._on_stderr):
            average_call = timedelta(seconds=self._session.settings.average_call)
            show_plan(plan, self._session.clock.now(), average_call, err=self._on_stderr)
            click.echo(err=self._on_stderr)
        if not asks or not plan.pending:
            return 0.0
        asked_at = self._session.clock.elapsed()
        question = f"{asked(plan)} Type yes to go on"
        if click.prompt(question, default="no", show_default=False, err=True).strip() != "yes":
            raise Refused("the answer was not yes; nothing was done")
        return self._session.clock.elapsed() - asked_at


def _difference(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [action for action in some if action not in others]
