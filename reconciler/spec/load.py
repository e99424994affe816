"""Specs from a directory: every one read and checked, every problem reported in one go.

The common case is fast because it does nothing for the others: a sound file is parsed once and
keeps no positions. Only a file with a problem is read again, for lines and columns.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.digest import request_digest
from reconciler.errors import Usage
from reconciler.model import Diagnostic, LongContacts, Origin, Request, Severity, Spec, SpecSet
from reconciler.spec.blobs import git_blob
from reconciler.spec.check import check, contacts_file
from reconciler.spec.clashes import name_clashes
from reconciler.spec.contacts import all_sound, contact_problems
from reconciler.spec.discover import Found, further_up, walk
from reconciler.spec.names import name_problem, normalised
from reconciler.spec.packed import Packed
from reconciler.spec.parallel import processors, shared_out
from reconciler.spec.problems import Collector, Problem, printable, quoted_path
from reconciler.spec.schedule import BadSchedule, normalise
from reconciler.spec.source import (
    MAX_YAML,
    Unreadable,
    stored_bytes,
    without_bom,
)
from reconciler.spec.split import split_as
from reconciler.spec.yaml.documents import Reading, diagnose, read_document
from reconciler.spec.yaml.scalars import core
from reconciler.system import without_gc

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from reconciler.model import Contact
    from reconciler.spec.check import Checked
    from reconciler.spec.lists.reader import Lists

    Unread = Callable[[Collection[str]], Mapping[str, str]]
    """Maps those of the paths below a root that need not be read to the names of their specs."""

_LIST_HINT = "put the contacts into a CSV file: `contacts: {file: contacts/….csv}`"
_MANY_FILES = 250
_MANY_BYTES = 1_000_000
"""From so many files or bytes on, reading is shared out among processors.

A second process costs about what reading 50 files of 4 kB does, and a tenth of what it reads.
"""
_MANY_LISTED = 5_000
"""The same in contacts of lists in files of their own."""


class _NotShort(Exception):  # noqa: N818 - not an error: a signal to read the spec elsewhere
    """This spec's contacts are in a file of their own that is not short, or not at hand."""


class _Root(Struct, frozen=True, dict=True):
    """What reading one file needs to know of the root that it is in."""

    path: Path
    shown: str
    max_contacts: int | None
    secrets: bool

    @cached_property
    def lists(self) -> Lists:
        """The lists that specs point at; few roots have any."""
        from reconciler.spec.lists.reader import Lists  # noqa: PLC0415 - few need it

        return Lists(self.path, self.shown, self.secrets)


class _Loaded(Struct):
    """One spec file, as far as it could be read. `name` is empty when it is not known."""

    path: str
    file: str
    name: str = ""
    named: bool = False
    spec: Spec | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    start: tuple[tuple[int, int], str] | None = None
    blob: str = ""
    list_blob: tuple[str, str] | None = None
    pinned: bool = False


def load_specs(
    root: Path,
    *,
    shown: str | None = None,
    max_contacts: int | None = None,
    secrets: bool = True,
    unread: Unread | None = None,
) -> SpecSet:
    """Read and check every spec below `root`, which messages call `shown` (as the user typed it).

    Never raises for what stands in a file: everything wrong is a diagnostic, sorted by file and
    line. A spec with an error is not among `specs`; neither is one whose name another has too.
    Lists longer than `max_contacts` are cut, where a spec says nothing of that itself. Without
    `secrets`, lists that lie elsewhere or are encrypted are left unread: a warning each, and no
    spec. `unread` says of the paths of all specs which need not be read, and what their names are:
    they count as files, their names are taken, and they are not among `specs`. One whose name is
    too much like another's is read all the same.
    Raises `Usage` when there is no such directory, and what `unread` raises.
    """
    shown = str(root) if shown is None else shown
    try:
        paths, odd = walk(root)
    except OSError as error:
        what = "is not a directory" if root.exists() else "does not exist"
        if isinstance(error, PermissionError):
            what = "cannot be read: permission denied"
        hint = "name the directory that holds the specs: `reconciler --batches DIR …`, or make it"
        if above := further_up(root):
            hint = f"there is one further up: `reconciler --batches {above} …`"
        raise Usage(f"the batches directory {quoted_path(shown)} {what}", hint=hint) from error
    names = dict(unread(paths)) if unread else {}
    for path in names.keys() - set(paths):
        del names[path]
    for path in _alike(names):
        del names[path]
    with without_gc():
        reading = _Root(root, shown, max_contacts, secrets)
        loaded = _load_all(reading, _sorted([*_but(paths, names), *odd]))
        like = _taken(names, loaded)
        if like:
            for path in like:
                del names[path]
            loaded += _load_all(reading, [Found(path) for path in like])
            loaded.sort(key=lambda one: one.path)
    clashes = list(name_clashes(root, loaded))
    doubled = {id(one) for one, diagnostic in clashes if diagnostic.severity is Severity.ERROR}
    diagnostics = [diagnostic for one in loaded for diagnostic in one.diagnostics]
    diagnostics += [diagnostic for _, diagnostic in clashes]
    diagnostics.sort(key=lambda one: (one.file, one.line, one.column))
    return SpecSet(
        specs=tuple(one.spec for one in loaded if one.spec is not None and id(one) not in doubled),
        diagnostics=tuple(diagnostics),
        files=len(paths),
        unsound_starts=tuple((one.file, *one.start) for one in loaded if one.start is not None),
        unread=frozenset(names.values()),
    )


def _but(paths: list[str], names: Mapping[str, str]) -> Iterable[Found]:
    return (Found(path) for path in paths if path not in names)


def _sorted(found: list[Found]) -> list[Found]:
    return sorted(found, key=lambda one: one.path)


def _alike(names: Mapping[str, str]) -> list[str]:
    """Find the specs whose names are alike but for capitals: each is told about the other."""
    folded = "\n".join(names.values()).casefold().split("\n")  # all at once, which is quicker
    if len(set(folded)) == len(folded) == len(names):
        return []
    count = Counter(map(str.casefold, names.values()))
    return [path for path, name in names.items() if count[name.casefold()] > 1]


def _taken(names: Mapping[str, str], loaded: Iterable[_Loaded]) -> list[str]:
    """Find the specs whose names specs that were read have too, or almost."""
    read = {one.name.casefold() for one in loaded if one.name}
    return [path for path, name in names.items() if name.casefold() in read] if read else []


def load_some(root: Path, paths: Iterable[str]) -> tuple[Spec, ...]:
    """Read the specs at some paths below `root`, as far as they are sound, uncut."""
    with without_gc():
        loaded = _load_all(_Root(root, str(root), None, secrets=True), [*map(Found, paths)])
    return tuple(one.spec for one in loaded if one.spec is not None)


def _load_all(root: _Root, found: Sequence[Found]) -> list[_Loaded]:
    """Read and check all files, in several processes where there is much to read.

    What those leave over is read here: lists too long to be handed over, or to be fetched or opened
    by more than one process, and what a process had that died.
    """
    first = [] if _are_many(root, found) else _load_first(root, found)
    rest = found[len(first) :]
    processes = processors() if rest else 1
    loaded: Sequence[_Loaded | None]
    if processes > 1:
        loaded = shared_out(partial(_load_short, root), rest, processes)
    else:
        loaded = [None] * len(rest)
    pairs = zip(loaded, rest, strict=True)
    return [*first, *(have or _load(root, one) for have, one in pairs)]


def _load_first(root: _Root, found: Sequence[Found]) -> list[_Loaded]:
    """Read and check all files, or the first of them if the lists that they name hold much.

    Nobody can know that before the specs are read, and most roots have no such lists.
    """
    loaded: list[_Loaded] = []
    listed = 0
    for one in found:
        loaded.append(_load(root, one))
        listed += _listed(loaded[-1])
        left = len(found) - len(loaded)
        if left > 1 and listed * left >= _MANY_LISTED * len(loaded):
            break
    return loaded


def _listed(loaded: _Loaded) -> int:
    """Count the contacts that came from a list which any process may read."""
    if loaded.list_blob is None or loaded.spec is None:
        return 0
    parts = (request.contacts for request in loaded.spec.requests)
    return sum(len(part) for part in parts if not isinstance(part, LongContacts))


def _are_many(root: _Root, found: Sequence[Found]) -> bool:
    """Tell whether it takes so long to read these files that it pays to share them out."""
    if len(found) >= _MANY_FILES:
        return True
    size = 0
    for one in found:
        with suppress(OSError):
            size += os.stat(f"{root.path}/{one.path}").st_size  # noqa: PTH116 - hot
    return len(found) > 1 and size >= _MANY_BYTES


def _load_short(root: _Root, found: Found) -> _Loaded | None:
    try:
        return _load(root, found, any_list=False)
    except _NotShort:
        return None


def _load(root: _Root, found: Found, *, any_list: bool = True) -> _Loaded:
    """Read and check one file. Unless `any_list` is taken, raises `_NotShort` for such a one."""
    loaded = _Loaded(found.path, printable(os.path.join(root.shown, found.path)))  # noqa: PTH118 - hot
    if found.problem is not None:
        loaded.diagnostics = diagnose([found.problem], b"", loaded.file)
        return loaded
    try:
        data = stored_bytes(f"{root.path}/{found.path}", limit=MAX_YAML, hint=_LIST_HINT)
    except Unreadable as error:
        loaded.diagnostics = diagnose([error.problem], b"", loaded.file)
        return loaded
    loaded.blob = git_blob(data)
    data = without_bom(data)
    reading = read_document(data)
    collector = Collector(reading.problems)
    if reading.document is not None:
        contacts = reading.document.value.get("contacts")
        if not any_list and isinstance(contacts, dict) and not root.lists.is_short(contacts):
            raise _NotShort
        _check(root, loaded, reading, collector)
    if loaded.spec is not None:
        loaded.spec = _cut(loaded.spec, root.max_contacts)
    if collector:
        loaded.diagnostics += diagnose(collector, data, loaded.file)
    if any(one.severity is Severity.ERROR for one in loaded.diagnostics):
        loaded.spec = None
        loaded.start = _start_of(reading)
    return loaded


def _start_of(reading: Reading) -> tuple[tuple[int, int], str] | None:
    """Give the start of a spec that has errors, so that one that is over is told with them."""
    document = reading.document
    value = document.value.get("scheduled_start") if document is not None else None
    if document is None or not isinstance(value, str):
        return None
    try:
        return document.scheduled_start_at, normalise(value)
    except BadSchedule:
        return None


def _check(root: _Root, loaded: _Loaded, reading: Reading, collector: Collector) -> None:
    """Check a document and compile it, unless something is wrong."""
    document = reading.document
    if document is None:
        return
    checked = check(document.value, collector)
    fields = _free_fields(document.value, collector)
    loaded.name, loaded.named = _name_of(loaded.path, document.value, checked, collector)
    contacts = _contacts(root, loaded, reading, collector)
    if checked is None or collector or loaded.diagnostics:
        return
    fields.update(checked.fields)
    digest = request_digest(fields, contacts)
    kept = Packed(contacts) if isinstance(contacts, list) else contacts
    request = Request(1, fields, kept, digest)
    loaded.spec = Spec(
        name=loaded.name,
        file=loaded.file,
        path=loaded.path,
        requests=(request,),
        lifecycle=checked.lifecycle,
        on_change=checked.on_change,
        scheduled_start_at=document.scheduled_start_at,
        max_contacts=checked.max_contacts,
        origin=Origin(loaded.blob, loaded.list_blob, loaded.pinned),
        clearance=checked.clearance,
    )


def _cut(spec: Spec, max_contacts: int | None) -> Spec:
    """Cut a spec's list as itself or the root says."""
    most = spec.max_contacts or max_contacts
    if most is None:
        return spec
    return split_as(replace(spec, max_contacts=None), most)


def _free_fields(document: dict[str, Any], collector: Collector) -> dict[str, Any]:
    """Resolve the two fields whose content is the user's own; empty ones are left out."""
    fields = {}
    for name in ("call_context", "metadata"):
        value = document.get(name)
        if isinstance(value, dict) and value:
            problems: list[Problem] = []
            fields[name] = core(value, (name,), problems)
            collector.extend(problems)
    return fields


def _name_of(
    path: str, document: dict[str, Any], checked: Checked | None, collector: Collector
) -> tuple[str, bool]:
    """Give a spec's name ("" when it has none that is allowed), and whether it is set in the file.

    Also for a spec with errors elsewhere: its name still must not be another's.
    """
    own = checked.name if checked is not None else None
    if checked is None:
        section = document.get("reconcile")
        written = section.get("name") if isinstance(section, dict) else None
        if isinstance(written, str) and written.strip():
            own = normalised(str(written))
            if name_problem(own) is not None:
                return "", True
    if own is not None:
        return own, True
    derived = normalised(path.rpartition(".")[0])
    problem = name_problem(derived)
    if problem is not None:
        hint = "rename the file, or give the spec a name: `reconcile: {name: …}`"
        collector.add(Problem((), f"the name that follows from the path {problem}", hint))
        return "", False
    return derived, False


def _contacts(
    root: _Root, loaded: _Loaded, reading: Reading, collector: Collector
) -> Sequence[Contact]:
    """Give the contacts of a document, or add to the problems why there are none."""
    written = reading.document.value.get("contacts") if reading.document is not None else None
    if isinstance(written, list):
        if reading.surveyed or not all_sound(written):
            collector.extend(contact_problems(written))
        return written
    if isinstance(written, dict):
        file = contacts_file(written)
        if file is None:
            return []
        read = root.lists.read(loaded.path, file)
        collector.extend(read.problems)
        loaded.diagnostics += read.diagnostics
        if read.blob is not None:
            loaded.list_blob = (os.path.normpath(file.file), read.blob)
            loaded.pinned = file.sha256 is not None
        return read.contacts
    return []
