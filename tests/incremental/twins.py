"""A small git repository, planned and applied twice: by what git says, and by reading everything.

Each way has an API and a state of its own. Whatever is done to the files, both must plan the same
and come to the same state.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from reconciler.apply.facts import gather
from reconciler.apply.recorder import Recorder
from reconciler.apply.report import Ending
from reconciler.cli.hashed_people import KEY, KEY_BYTES
from reconciler.cli.meetings import DIRECTORY
from reconciler.cli.provenance import GitProvenance
from reconciler.cli.reading import Reader
from reconciler.cli.session import Session, StateOptions
from reconciler.errors import InvalidSpecs
from reconciler.model import Lifecycle
from reconciler.plan.actions import ActionKind
from reconciler.plan.facts import Facts
from reconciler.plan.planner import make_plan
from reconciler.render.telling import headline
from reconciler.spec.load import load_some
from reconciler.state.codec import Encoder, encode
from reconciler.state.sealed import Sealed
from tests.apply.doubles import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from reconciler.apply.report import Report
    from reconciler.model import SpecSet
    from reconciler.plan.actions import Plan
    from reconciler.state.document import State

_FORGOTTEN = re.compile(rb'"(?:commit|serial|[a-z_]*at|[a-z_]+_until)": ')
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 4
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path: path.write_bytes(b""),
    "flip": _flip,
    "gone": lambda path: path.unlink(),
    "another version": lambda path: path.write_bytes(b"people of specs9" + path.read_bytes()[16:]),
    "twice": lambda path: path.with_name(f"0{path.name}").write_bytes(path.read_bytes()),
    "renamed": lambda path: path.rename(path.with_name(f"1{path.name}")),
    "another key": lambda path: path.write_bytes(b"k" * KEY_BYTES),
    "short key": lambda path: path.write_bytes(b"k"),
    "open key": lambda path: path.chmod(0o644),
    "no key": lambda path: path.unlink(),
}
"""What may happen to what is kept of who is in which spec: to its files, or to the key."""


def text(
    *,
    people: int = 2,
    first: int = 0,
    comment: str = "",
    lifecycle: str = "active",
    on_change: str = "remaining",
    name: str = "",
    file: str = "",
    cut: int = 0,
) -> str:
    """Write a spec."""
    reconcile = [f"lifecycle: {lifecycle}", f"on_change: {on_change}"]
    reconcile += [f"name: {name}"] if name else []
    reconcile += [f"split: {{max_contacts: {cut}}}"] if cut else []
    contacts = f"{{file: {file}}}" if file else f"[{', '.join(_people(people, first))}]"
    lines = [f"# {comment}", "campaign_id: cmp_a", f"contacts: {contacts}"]
    return "\n".join([*lines, f"reconcile: {{{', '.join(reconcile)}}}", ""])


def _people(people: int, first: int) -> list[str]:
    return [
        f'{{phone_number: "+9198765{number:05d}", call_variables: {{callee_name: Asha}}}}'
        for number in range(first, first + people)
    ]


def listed(people: int, first: int = 0) -> str:
    """Write a contact list."""
    rows = [f"+9198765{number:05d},Asha" for number in range(first, first + people)]
    return "\n".join(["phone_number,callee_name", *rows, ""])


class _World(World):
    """One way of planning, with what it created and recorded."""

    def __init__(self, root: Path, *, cache: bool) -> None:
        super().__init__()
        # One at a time: the API numbers batches in the order in which requests arrive.
        self.limits = replace(self.limits, parallelism=1)
        self._root = root
        self._cache = cache
        self._reader: Reader | None = None

    def specs(self) -> SpecSet:
        session = Session.open(self._root, StateOptions())
        self._reader = Reader(session, cache=self._cache)
        return self._reader.specs(self.state(), self.rules)

    def state(self) -> State:
        """Give what is recorded; with a cache as a plan reads it, that does not need it whole."""
        state = self.store.load()
        if not self._cache or not state.batches:
            return state
        encoder = Encoder()
        sealed = encoder.decode(encode(state), where="state", aside=_at_once, whole=False)
        assert isinstance(sealed.batches, Sealed)
        return sealed

    def remember(self, report: Report | None = None) -> None:
        """End as a command does."""
        assert self._reader is not None
        results = report.results if report else ()
        made = [r.action.spec for r in results if r.ending is Ending.CREATED and r.action.spec]
        self._reader.remember(made)

    def planned(self, specs: SpecSet) -> Plan:
        state, now = self.state(), self.clock.now()
        facts = gather(specs, state, self.api, self.rules, now, parallelism=2)
        return make_plan(specs, state, facts, self.rules, now)

    def planned_offline(self, specs: SpecSet) -> Plan:
        """Plan as without an API."""
        facts = Facts(offline=True)
        return make_plan(specs, self.state(), facts, self.rules, self.clock.now())

    def recorder(self, plan: Plan, state: State) -> Recorder:
        unchanged = [a.spec for a in plan.actions if a.kind is ActionKind.NONE and a.spec]
        return Recorder(
            self.store,
            state,
            clock=self.clock,
            run=f"run{self.runs}",
            provenance=GitProvenance(self._root),
            unchanged=unchanged,
        )


class Twins:
    """The repository, and both ways."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "batches"
        self.root.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("commit", "-q", "--allow-empty", "-m", "begin")
        self.some = _World(self.root, cache=True)
        self.all = _World(self.root, cache=False)
        self._said: dict[tuple[str, str, str | None], dict[str, str | None]] = {}

    def git(self, *arguments: str) -> str:
        """Run git in the root."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env={**os.environ, **GIT},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stderr
        return done.stdout

    def write(self, path: str, content: str) -> None:
        """Write a file below the root."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")

    def commit(self) -> None:
        """Commit everything there is."""
        self.git("add", "-A", ".")
        self.git("commit", "-q", "--allow-empty", "-m", "more")

    def plans(self) -> tuple[Plan, Plan] | None:
        """Plan both ways, and hold that they agree; None when the specs are not sound."""
        answers: list[Any] = []
        for world in (self.some, self.all):
            try:
                specs = world.specs()
            except InvalidSpecs as error:
                answers.append(sorted(map(repr, error.diagnostics)))
            else:
                assert world is self.some or not specs.unread
                offline = world.planned_offline(specs)
                answers.append((world.planned(specs), offline, specs.files))
                world.remember()
        if isinstance(answers[0], list) or isinstance(answers[1], list):
            assert answers[0] == answers[1]
            return None
        (mine, my_offline, files), (full, full_offline, all_files) = answers
        assert my_offline.essence() == full_offline.essence()
        assert mine.essence() == full.essence()
        assert mine.summary() == full.summary()
        assert set(map(repr, mine.diagnostics)) == set(map(repr, full.diagnostics))
        assert files == all_files
        assert headline(mine) == headline(full)
        return mine, full

    def apply(self) -> None:
        """Apply both ways, and hold that the states agree and say the truth of every blob."""
        plans = self.plans()
        if plans is None:
            return
        for world, plan in zip((self.some, self.all), plans, strict=True):
            world.remember(world.engine(plan).run())
            world.check()
        self.plans()
        assert _forgetful(encode(self.some.store.last)) == _forgetful(encode(self.all.store.last))

    def unread(self) -> frozenset[str]:
        """Give what would not be read now."""
        return self.some.specs().unread

    @property
    def kept(self) -> Path:
        """Where it is kept who is in which spec."""
        return self.root / ".git" / DIRECTORY

    def damage(self, how: str) -> None:
        """Do something to what is kept there; see `DAMAGES`."""
        for path in sorted(self.kept.glob("*")):
            if (path.name == KEY) == how.endswith("key"):
                DAMAGES[how](path)

    def remember(self) -> None:
        """Note what each file says now, for `hold_truth`."""
        for path in self.root.rglob("*.y*ml"):
            below = str(path.relative_to(self.root))
            for spec in load_some(self.root, [below]):
                origin = spec.origin
                assert origin is not None
                key = (below, origin.blob, origin.contacts[1] if origin.contacts else None)
                self._said[key] = {
                    "name": spec.name,
                    "digest": spec.digest,
                    "lifecycle": spec.lifecycle,
                    "list": origin.contacts[0] if origin.contacts else None,
                }

    def hold_truth(self) -> None:
        """Hold that whatever is recorded of a reading is what such files have said."""
        for name, record in self.some.store.last.batches.items():
            source = record.current.source
            if source.lifecycle is None:
                continue
            said = self._said[source.path, str(source.blob), source.contacts_blob]
            assert said == {
                "name": name,
                "digest": record.current.of,
                "lifecycle": Lifecycle(source.lifecycle),
                "list": source.contacts_path,
            }


def _at_once(work: Callable[[Any], Any], items: Sequence[Any]) -> Callable[[], list[Any]]:
    """Find something out in this process."""
    found = [work(item) for item in items]
    return lambda: found


def _forgetful(state: bytes) -> list[bytes]:
    """Leave out by which commit something was read, which differs, and when it was done.

    The clock moves on while a sender is waited for, and how long that takes is up to the machine;
    so is how many outcomes are stored at once.
    """
    return [line for line in state.splitlines() if not _FORGOTTEN.search(line)]
