"""Who is in which spec, kept on this machine: of people, keyed hashes alone.

Promises: no phone number is kept and nothing that can be turned back into one without the key,
which lies beside the files, is random, and readable by its owner only. What is not as this very key
and version wrote it, to the last bit, is as if it were not there, and is removed once that is seen.
A spec is known by its digest, which says all of it and stands in the recorded state anyway.

In the directory are `key` and a few files (`reconciler.cli.hashed_file`), none of which is ever
changed. Who adds something writes one more, and reads none of the others; when there are many they
are put together. So runs that do so at the same time need no lock: at worst something is there
twice, or has to be added again.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from contextlib import suppress
from errno import EPERM
from functools import cached_property
from typing import TYPE_CHECKING

from reconciler.cli.hashed_file import DIGEST, DamagedError, Draft, File, Glimpse, Hashing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    People = tuple[str, int, Iterable[Collection[str]]]
    """A spec's digest, how many people are in it, and their numbers, some at a time, each once."""

KEY = "key"
KEY_BYTES = 32
SUFFIX = ".people"
UNFINISHED = ".unfinished"

MOST_NUMBERS = 4_000_000
"""Of all specs together, at 20 bytes each. Of more, those that were written first are dropped."""
MOST_FILES = 8
KEPT = 45
"""Days after which a spec is dropped. For 30 a batch is recent."""
_HOUR = 3600.0


class HashedPeople:
    """What is kept in a directory. Whatever writes raises `OSError`; what cannot be read is not.

    Files are opened when it is asked who is in specs, and once.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unsound: list[Path] = []

    @cached_property
    def hashing(self) -> Hashing | None:
        """What is made with the key; None where there is none, and so nothing is kept."""
        secret = self._read_key()
        return None if secret is None else Hashing(secret)

    def met(self, new: Draft) -> tuple[dict[tuple[str, int], int], frozenset[str]]:
        """Count the people whom specs have in common with new ones, by which those are.

        Also gives the digests of all specs that are kept, with anybody in common or not.
        """
        counts: dict[tuple[str, int], int] = {}
        for file in [*self._files]:
            try:
                found = file.met(new)
            except OSError as error:
                self._shun(file.path, error)
                self._files.remove(file)
            else:
                # What is there twice is the same in both.
                counts.update(((file.specs[spec], one), n) for (spec, one), n in found.items())
        return counts, frozenset().union(*(file.specs for file in self._files))

    def missing(self, specs: Iterable[str]) -> set[str]:
        """Give those that are to be added; a damaged file may seem to have what it has not.

        That costs no more if much is kept. What is missing by that is added once the damage is
        seen, which is when it is asked who is in it.
        """
        left = {spec for spec in specs if len(spec) == DIGEST}
        for path, glimpse in self._glimpses() if self.hashing is not None else ():
            try:
                left -= glimpse.seems_to_have(left)
            except OSError as error:
                self._shun(path, error)
        return left

    def ready(self) -> Hashing:
        """Make the directory and a key where there is none, and give what is made with it."""
        if self.hashing is None:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._put(KEY, [os.urandom(KEY_BYTES)])
            # Another run may have put its own there by now: one of the two is it from now on.
            secret = self._read_key()
            if secret is None:
                (self._directory / KEY).unlink(missing_ok=True)
                raise OSError(EPERM, "a file here is not its owner's alone")
            self.hashing = Hashing(secret)
            self._unsound = self._paths(SUFFIX)
        return self.hashing

    def add(self, people: Iterable[People], day: int) -> None:
        """Keep who is in specs that are `missing`, each once; `day` is today, counted from 1970.

        See `ready`.
        """
        hashing = self.ready()
        draft = Draft()
        added: list[tuple[str, int]] = []
        for spec, count, numbers in sorted(people, key=lambda each: each[0]):
            if draft.count + count > MOST_NUMBERS:
                continue
            for some in numbers:
                draft.put(hashing.each(some), len(added))
            added.append((spec, day))
        if added:
            self._write(draft, added)
        self._tidy(day)

    def _tidy(self, day: int) -> None:
        """Remove what is of no use, and put files together where there are too many."""
        for path in self._paths(UNFINISHED):
            with suppress(FileNotFoundError):  # whoever writes it is done
                if time.time() - path.stat().st_mtime > _HOUR:
                    path.unlink()  # … or was killed
        sizes = {}
        past = []
        for path, glimpse in self._glimpses():
            sizes[path] = glimpse.begin.numbers
            if not day - KEPT <= glimpse.begin.day <= day:
                past.append(path)
        chosen = past
        if sum(sizes.values()) > MOST_NUMBERS:
            chosen = list(sizes)
        elif len(sizes) > MOST_FILES:
            chosen = _small(sizes)
        if chosen:
            self._together(chosen, day)
        for path in self._unsound:
            with suppress(OSError):  # another run was faster, or it is not ours to remove
                path.unlink()
        self._unsound = []

    def _together(self, paths: Iterable[Path], day: int) -> None:
        """Write what is kept of some files into one, and remove them."""
        files = self._opened(paths, whole=True)
        kept = _kept(files, day)
        places = {spec: place for place, (spec, _) in enumerate(kept)}
        draft = Draft()
        for file in files:
            mine = {
                index: places.pop(spec)  # it may be there twice
                for index, spec in enumerate(file.specs)
                if spec in places
            }
            draft.take(file, mine)
        if kept:
            self._write(draft, kept)
        for file in files:
            file.path.unlink(missing_ok=True)

    def _write(self, draft: Draft, specs: Sequence[tuple[str, int]]) -> None:
        """Write a file."""
        self._put(f"{os.urandom(8).hex()}{SUFFIX}", draft.written(specs, self.ready()))
        self.__dict__.pop("_files", None)

    def _put(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file for its owner only, whole or not at all."""
        unfinished = self._directory / f"{os.urandom(8).hex()}{UNFINISHED}"
        try:
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(handle, "wb") as file:  # noqa: PTH123 - by its handle
                file.writelines(pieces)
            unfinished.replace(self._directory / name)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise

    def _paths(self, suffix: str) -> list[Path]:
        try:
            return sorted(path for path in self._directory.iterdir() if path.suffix == suffix)
        except OSError:
            return []

    def _read_key(self) -> bytes | None:
        """Read the key; None unless it is whole and its owner's alone."""
        try:
            with (self._directory / KEY).open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                secret = file.read(KEY_BYTES + 1)
        except OSError:
            return None
        sound = stat.S_ISREG(mode) and not mode & 0o077 and len(secret) == KEY_BYTES
        return secret if sound else None

    def _glimpses(self) -> Iterator[tuple[Path, Glimpse]]:
        for path in self._paths(SUFFIX):
            if path not in self._unsound:
                try:
                    yield path, Glimpse(path)
                except OSError as error:
                    self._shun(path, error)

    @cached_property
    def _files(self) -> list[File]:
        return self._opened(self._paths(SUFFIX))

    def _opened(self, paths: Iterable[Path], *, whole: bool = False) -> list[File]:
        """Open files as far as they are there and as they were written: their heads, or `whole`."""
        files: list[File] = []
        hashing = self.hashing
        if hashing is None:
            return files
        for path in paths:
            try:
                file = File(path, hashing)
                if whole:
                    file.hold()
                files.append(file)
            except OSError as error:
                self._shun(path, error)
        return files

    def _shun(self, path: Path, error: OSError) -> None:
        """Go without a file. Another run may have put it together with others, or it is broken."""
        if isinstance(error, DamagedError):
            self._unsound.append(path)


def _small(sizes: Mapping[Path, int]) -> list[Path]:
    """Choose the small ones of too many files, so that each number is written a few times only."""
    ordered = sorted(sizes, key=lambda path: sizes[path])
    least = len(ordered) - MOST_FILES + 1
    count = total = 0
    while count < len(ordered) and (count < least or sizes[ordered[count]] <= 4 * total):
        total += sizes[ordered[count]]
        count += 1
    return ordered[:count]


def _kept(files: Sequence[File], day: int) -> list[tuple[str, int]]:
    """Choose the specs of some files that are kept on, each with the day when it was written."""
    last = {
        spec: then for file in files for spec, then in file.dated() if day - KEPT <= then <= day
    }
    if sum(file.count for file in files) <= MOST_NUMBERS:
        return sorted(last.items())
    people: dict[str, int] = {}
    for file in files:
        owners = Counter(spec for _, spec in file.rows())
        people.update((file.specs[spec], count) for spec, count in owners.items())
    kept = []
    total = 0
    for spec in sorted(last, key=lambda spec: (-last[spec], spec)):
        total += people.get(spec, 0)
        if total > MOST_NUMBERS // 2:  # so that it is not full again at once
            break
        kept.append(spec)
    return [(spec, last[spec]) for spec in sorted(kept)]
