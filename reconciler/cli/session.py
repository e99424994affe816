"""What a command works with: settings, specs, state and the API, put together once.

This is where the ports meet their real adapters. Nothing here decides anything.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field

from reconciler.cli.wording import without_the_sandbox
from reconciler.errors import InvalidSpecs, ReconcilerError, StateUnusable
from reconciler.system import RandomIds, SystemClock

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from reconciler.api.client import HttpBatchApi
    from reconciler.model import Spec, SpecSet
    from reconciler.plan.facts import Rules
    from reconciler.spec.config.settings import Settings
    from reconciler.spec.load import Unread
    from reconciler.state.store import StateStore

SANDBOX_DIRECTORY = ".sandbox"
SANDBOX_TOKEN = "gat_sandbox"  # noqa: S105 - opens nothing but the embedded API


class StateOptions(NamedTuple):
    """The options of `reconciler.cli.options.state_options`, as given."""

    state_kind: str | None = None
    state_remote: str | None = None
    state_branch: str | None = None
    sandbox: bool = False


class Session(Struct, frozen=True):
    """One command's surroundings below one batches root. `run` is unlike that of any other run."""

    root: Path
    settings: Settings
    options: StateOptions
    run: str = field(default_factory=lambda: RandomIds().unique())

    @classmethod
    def open(cls, root: Path, options: StateOptions) -> Session:
        """Read the root's settings. Raises `InvalidSpecs` or `Usage`."""
        from reconciler.spec.config.settings import load_settings  # noqa: PLC0415 - imports ruamel.yaml

        return cls(root, load_settings(root), options)

    @property
    def clock(self) -> SystemClock:
        """The machine's clock."""
        return SystemClock()

    def specs(self, unread: Unread | None = None) -> SpecSet:
        """Read all specs, but for those that are left `unread`, see `load_specs`.

        Raises `InvalidSpecs` with every error there is, and what `unread` raises.
        """
        from reconciler.spec.load import load_specs  # noqa: PLC0415 - imports ruamel.yaml
        from reconciler.spec.schedule import unsound_and_past  # noqa: PLC0415 - as above

        split = self.settings.split
        most = split.max_contacts if split else None
        specs = load_specs(self.root, max_contacts=most, unread=unread)
        if specs.errors:
            late = unsound_and_past(specs, self.clock.now())
            raise InvalidSpecs([*specs.errors, *late], hint="mend these, then: reconciler validate")
        return specs

    def some_specs(self, paths: Iterable[str]) -> tuple[Spec, ...]:
        """Read the specs at some paths, as far as they are sound."""
        from reconciler.spec.load import load_some  # noqa: PLC0415 - as above

        return load_some(self.root, paths)

    def store(self) -> StateStore:
        """Give the store of the state. Raises what the store does, see `reconciler.state`."""
        from reconciler.state.file import STATE_NAME, FileStore  # noqa: PLC0415 - not every command opens it

        if self.options.sandbox:
            return FileStore(self.sandbox_directory() / STATE_NAME, ids=RandomIds(), run=self.run)
        if not self.in_git:
            self._require_not_lost(self.root / STATE_NAME)
            from reconciler.cli.file_state import RootStore  # noqa: PLC0415 - as above

            return RootStore(self.root / STATE_NAME, ids=RandomIds(), run=self.run)
        from reconciler.cli.git_state import git_store  # noqa: PLC0415 - only for state in git

        return git_store(
            self.root,
            remote=self.options.state_remote or self.settings.state_remote,
            branch=self.options.state_branch or self.settings.state_branch,
            clock=self.clock,
            ids=RandomIds(),
            run=self.run,
        )

    @staticmethod
    def _require_not_lost(path: Path) -> None:
        """Refuse a state file that git knows and that is gone: without it all would be new."""
        if path.exists() or not path.parent.is_dir():
            return
        from reconciler.cli.provenance import is_tracked  # noqa: PLC0415 - only without a file

        if is_tracked(path):
            raise StateUnusable(
                f"{path} is recorded in git and is not here; without it every batch would be new",
                hint=f"bring it back: git checkout HEAD -- {path}; to begin anew on purpose: "
                f"git rm --cached {path}",
            )

    @property
    def root_name(self) -> str:
        """What tells this root from others: its path in its repository, else its own name.

        Each batch carries it, so that two roots may use the same names in one campaign.
        """
        from reconciler.cli.provenance import path_in_repository  # noqa: PLC0415 - it asks git

        return path_in_repository(self.root) or self.root.resolve().name

    @property
    def in_git(self) -> bool:
        """Whether state lives on a branch, where other runs can reach it."""
        kind = self.options.state_kind or self.settings.state
        return kind == "git" and not self.options.sandbox

    def rules(self, *, settle: float | None = None, prune: bool = False) -> Rules:
        """Give what planning goes by. `settle` is the command line's, in seconds.

        The settings' may be shorter than a request can take: then that counts, since a request of a
        run that died may be under way for as long.
        """
        from reconciler.plan.facts import Rules  # noqa: PLC0415 - with the planner
        from reconciler.spec.config.freeze import frozen_here  # noqa: PLC0415 - as above

        return Rules(
            settle=timedelta(
                seconds=max(self.settings.settle, _timeout()) if settle is None else settle
            ),
            hold=self.settings.unknown == "hold",
            run=self.run,
            prune=prune,
            frozen=frozen_here(self.root, self.settings),
            arm_delay=timedelta(seconds=self.settings.arm_delay),
            timeout=timedelta(seconds=_timeout()),
            organization_id=None
            if self.options.sandbox
            else os.environ.get("GRAINE_ORG_ID", "").strip() or None,
        )

    @contextmanager
    def api(
        self, *, parallelism: int | None = None, stop: threading.Event | None = None
    ) -> Iterator[HttpBatchApi]:
        """Open the API: the vendor's, or the embedded one with `--sandbox`."""
        from reconciler.api.client import HttpBatchApi  # noqa: PLC0415 - imports httpx
        from reconciler.api.config import ApiConfig  # noqa: PLC0415 - with it

        with ExitStack() as stack:
            environ: dict[str, str] = dict(os.environ)
            if self.options.sandbox:
                environ = {
                    "GRAINE_API_KEY": SANDBOX_TOKEN,
                    "GRAINE_API_URL": stack.enter_context(self._embedded()),
                }
            config = ApiConfig.from_environment(environ, create_path=self.settings.create_path)
            yield stack.enter_context(
                HttpBatchApi(
                    config,
                    parallelism=parallelism or self.settings.parallelism,
                    clock=self.clock,
                    stop=stop,
                )
            )

    @contextmanager
    def _embedded(self) -> Iterator[str]:
        """Serve the embedded API for as long as a command runs, and give its URL."""
        try:
            from reconciler.sandbox import Sandbox  # noqa: PLC0415 - the extra
        except ImportError as error:
            raise without_the_sandbox(error) from error
        database = self.sandbox_directory() / "api.sqlite"
        try:
            sandbox = Sandbox(database, accept_any_campaign=True)
        except ValueError as error:
            raise ReconcilerError(str(error), hint=f"remove it: rm {database}*") from error
        with sandbox:
            yield sandbox.url

    def sandbox_directory(self) -> Path:
        """Make the directory whose simulated batches never mix with recorded state."""
        directory = self.root / SANDBOX_DIRECTORY
        if self.root.is_dir():
            directory.mkdir(exist_ok=True)
            (directory / ".gitignore").write_text("*\n", encoding="utf-8")
        return directory


def _timeout() -> float:
    """Give GRAINE_TIMEOUT; what is wrong with it is told when the API is opened."""
    try:
        return max(0.0, min(float(os.environ.get("GRAINE_TIMEOUT") or 60), 86_400))
    except ValueError:
        return 60.0
