"""Who is in which spec, kept on this machine by keyed hashes alone.

Promises: no phone number is kept and nothing that can be turned back into one without the key,
which lies beside the files, is random, and readable by its owner only. What is not as this very key
and version wrote it, to the last bit, is as if it were not there, and is removed at the next write.

In the directory are `key` and a few files (`reconciler.cli.hashed_file`), none of which is ever
changed. Who adds something writes one more; when there are many they are put together. So runs that
do so at the same time need no lock: at worst something is there twice, or has to be added again.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from contextlib import suppress
from errno import EPERM
from typing import TYPE_CHECKING

from reconciler.cli.hashed_file import Draft, File, Hashing, is_sound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    People = tuple[bytes, int, Iterable[Collection[str]]]
    """A spec's hash, how many people are in it, and their numbers, some at a time, each once."""

KEY = "key"
KEY_BYTES = 32
SUFFIX = ".people"
UNFINISHED = ".unfinished"

MOST_NUMBERS = 4_000_000
"""Of all specs together, at 20 bytes each. Of more, those not needed for longest are dropped."""
MOST_FILES = 8
KEPT = 45
"""Days after which a spec is dropped that was not needed. For 30 a batch is recent."""
_MOST_BYTES = 400_000_000
"""Of one file: what is longer was not written here."""
_HOUR = 3600.0


class HashedPeople:
    """What is kept in a directory, as it was when this was made. Whatever writes raises `OSError`.

    `hashing` is None where there is no key, and so nothing is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.hashing: Hashing | None = None
        self._files: list[File] = []
        self._unsound: list[Path] = []
        self._where: dict[bytes, File] = {}
        secret = self._read_key()
        if secret is not None:
            self.hashing = Hashing(secret)
        for path in self._paths(SUFFIX):
            self._open(path)

    @property
    def specs(self) -> Collection[bytes]:
        """The hashes of the specs that are kept."""
        return self._where.keys()

    def met(self, new: Draft) -> Iterator[tuple[bytes, int, int]]:
        """Give which specs have whom in common with which new ones, and how many people that is."""
        for file in self._files:
            for (index, one), count in file.met(new).items():
                spec = file.specs[index][0]
                if self._where[spec] is file:  # else it is there twice, and is told by the other
                    yield spec, one, count

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
        return self.hashing

    def add(self, people: Iterable[People], needed: Collection[bytes], day: int) -> None:
        """Keep who is in specs, but for those that are kept already; see `ready`.

        `needed` are the specs that were asked for today, the `day` counted from 1970: they are
        kept on where others are dropped.
        """
        hashing = self.ready()
        draft = Draft()
        added = set()
        for spec, count, numbers in people:
            if spec in self._where or spec in added or draft.count + count > MOST_NUMBERS:
                continue
            added.add(spec)
            place = draft.add(spec, day)
            for some in numbers:
                draft.put(hashing.each(some), place)
        if added:
            self._write(draft)
        self._tidy(needed, day)

    def _tidy(self, needed: Collection[bytes], day: int) -> None:
        """Remove what is of no use, and put files together where there are too many."""
        for path in self._unsound:
            path.unlink(missing_ok=True)
        self._unsound = []
        for path in self._paths(UNFINISHED):
            with suppress(FileNotFoundError):  # whoever writes it is done
                if time.time() - path.stat().st_mtime > _HOUR:
                    path.unlink()  # … or was killed
        kept = self._kept(needed, day)
        files = sorted(self._files, key=lambda file: file.count)
        if 2 * len(kept) < sum(len(file.specs) for file in files) or (
            sum(file.count for file in files) > MOST_NUMBERS
        ):
            self._together(files, kept)
        elif len(files) > MOST_FILES:
            # The small ones, so that each number is written a few times only.
            count = total = 0
            while count < len(files) and (count < 2 or files[count].count <= 4 * total):  # noqa: PLR2004 - two at least
                total += files[count].count
                count += 1
            self._together(files[:count], kept)

    def _kept(self, needed: Collection[bytes], day: int) -> dict[bytes, int]:
        """Choose the specs that are kept, each with the day when it was last needed."""
        last = {
            spec: day if spec in needed else then
            for file in self._files
            for spec, then in file.specs
            if self._where[spec] is file
        }
        last = {spec: then for spec, then in last.items() if day - KEPT <= then <= day}
        if sum(file.count for file in self._files) <= MOST_NUMBERS:
            return last
        kept = {}
        total = 0
        people = self._counts()
        for spec in sorted(last, key=lambda spec: (-last[spec], spec)):
            total += people[spec]
            if total > MOST_NUMBERS // 2:  # so that it is not full again at once
                break
            kept[spec] = last[spec]
        return kept

    def _counts(self) -> Counter[bytes]:
        """Count who is in each spec."""
        counts: Counter[bytes] = Counter()
        for file in self._files:
            for spec, count in file.owners().items():
                if self._where[spec] is file:
                    counts[spec] = count
        return counts

    def _together(self, files: list[File], kept: Mapping[bytes, int]) -> None:
        """Write what is kept of some files into one, and remove them."""
        draft = Draft()
        for file in files:
            places = {
                index: draft.add(spec, kept[spec])
                for index, (spec, _) in enumerate(file.specs)
                if spec in kept and self._where[spec] is file
            }
            draft.take(file, places)
        self._files = [file for file in self._files if file not in files]
        self._where = {spec: file for spec, file in self._where.items() if file not in files}
        if draft.specs:
            self._write(draft)
        for file in files:
            file.path.unlink(missing_ok=True)

    def _write(self, draft: Draft) -> None:
        """Write a file, and have it."""
        hashing = self.ready()
        pieces = [*draft.pieces()]
        data = b"".join([*pieces, hashing.seal(pieces)])
        name = f"{os.urandom(8).hex()}{SUFFIX}"
        self._put(name, [data])
        self._have(File(self._directory / name, data))

    def _have(self, file: File) -> None:
        self._files.append(file)
        for spec, _ in file.specs:
            self._where[spec] = file

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

    def _open(self, path: Path) -> None:
        """Take in a file if it is as it was written."""
        try:
            with path.open("rb") as opened:
                data = opened.read(_MOST_BYTES)
        except OSError:
            return  # put together with others by another run, or not ours to read
        if self.hashing is None or not is_sound(data, self.hashing):
            self._unsound.append(path)
            return
        self._have(File(path, data))
