"""Where a contact list lies and what it is: below the batches root or elsewhere, in which format.

What is shown of an address never holds a password, a signature or a token: a spec must not hold
them either, and one that does is refused.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from reconciler.spec.discover import is_within
from reconciler.spec.lists.list_rules import LIST_FORMATS, SEALED
from reconciler.spec.problems import Path, Problem, did_you_mean, quoted_path

if TYPE_CHECKING:
    from pathlib import Path as FilePath

FIELD: Path = ("contacts", "file")
CSV_HINT = "in the spreadsheet, export the sheet as 'CSV UTF-8'"

UNPACK_HINT = "unpack it first, and name the file that was in it"

_SCHEMES = ("s3", "gs", "az", "https")
_INSTEAD = {"gcs": "gs", "azure": "az", "abfs": "az", "abfss": "az", "s3a": "s3", "s3n": "s3"}
_WORKBOOKS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".7z")
_FORMATS_HINT = "contact lists are `.csv`, `.jsonl` and `.parquet` files"
_RELATIVE_HINT = "write it relative to the batches root: `contacts/….csv`"
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")


class Place(Struct, frozen=True):
    """Where a list lies. `path` is an address when `scheme` is not empty.

    `format` is the suffix of the list itself, `.csv`; `sealed` tells that it is encrypted.
    """

    path: str
    scheme: str
    format: str
    sealed: bool

    @property
    def remote(self) -> bool:
        """Whether it lies elsewhere."""
        return bool(self.scheme)


class NoPlace(Exception):  # noqa: N818 - says what it is
    """A text names no list that may be read; carries why."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(FIELD, message, hint)


def place_of(
    root: FilePath, spec_path: str, path: str, formats: tuple[str, ...] = LIST_FORMATS
) -> Place:
    """Find the list that a spec names, `spec_path` being the spec's own path below the root.

    A list below the root is looked for, one that lies elsewhere is not. `formats` are the suffixes
    that it can have. Raises `NoPlace`.
    """
    address = _ADDRESS.match(path)
    if address:
        _check_address(address["scheme"], path)
    else:
        _check_form(path)
    name, sealed = _unsealed(path)
    place = Place(
        path,
        address["scheme"].lower() if address else "",
        _format(path, name, formats),
        sealed,
    )
    if not address:
        _check_there(root, spec_path, path)
    return place


def shown(path: str) -> str:
    """Give a list's path or address as it may be shown: without a password and a query."""
    address = _ADDRESS.match(path)
    if address is None:
        return path
    rest = re.split(r"[?#]", path[address.end() :], maxsplit=1)[0]
    host, slash, below = rest.partition("/")
    return f"{address[0]}{host.rpartition('@')[2]}{slash}{below}"


def _unsealed(path: str) -> tuple[str, bool]:
    """Give a path without the suffix of encryption, and whether it had one."""
    sealed = path.lower().endswith(SEALED)
    return (path[: -len(SEALED)] if sealed else path), sealed


def _format(path: str, name: str, formats: tuple[str, ...]) -> str:
    """Give the suffix that says how a list is written. Raises `NoPlace`."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a text, not a file yet
    if suffix in formats:
        return suffix
    told = quoted_path(shown(path))
    if suffix in _COMPRESSED:
        raise NoPlace(f"{told} is compressed", UNPACK_HINT)
    if formats != LIST_FORMATS:
        listed = " or ".join(f"`{each}`" for each in formats)
        raise NoPlace(f"{told} is no list of numbers", f"it can be a {listed} file")
    if suffix in _WORKBOOKS:
        raise NoPlace(f"{told} is a workbook; contact lists are CSV", CSV_HINT)
    if suffix in {".json", ".ndjson"}:
        hint = "write one object a line, and name the file `….jsonl`"
        raise NoPlace(f"{told}: `{suffix}` files are not read", hint)
    known = f"`{suffix}` files are" if suffix else "a file without a suffix is"
    raise NoPlace(f"{told}: {known} not read", _FORMATS_HINT)


def _check_form(path: str) -> None:
    """Check the text of a path below the root. Raises `NoPlace`."""
    if not path.isprintable():
        raise NoPlace(f"{quoted_path(path)} contains an invisible character", _RELATIVE_HINT)
    if "\\" in path:
        raise NoPlace(f"{quoted_path(path)} contains a backslash", "write `/` between directories")
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        raise NoPlace(f"{quoted_path(path)} is not relative to the batches root", _RELATIVE_HINT)
    if ".." in path.split("/"):
        raise NoPlace(f"{quoted_path(path)} leads out of a directory with `..`", _RELATIVE_HINT)


def _check_address(scheme: str, path: str) -> None:
    """Check the text of an address. Raises `NoPlace`."""
    told = quoted_path(shown(path))
    if not path.isprintable() or any(char.isspace() for char in path):
        hint = "write a space in an address as `%20`" if scheme.lower() == "https" else ""
        raise NoPlace(f"{told} contains a space or an invisible character", hint)
    try:
        parts = urlsplit(path)
        port = parts.port
    except ValueError:
        raise NoPlace(f"{told} is no address", "write `https://HOST/….csv`") from None
    if "@" in parts.netloc:
        hint = "delete it; credentials come from the environment, and never stand in a spec"
        raise NoPlace(f"the address {told} holds a user or a password", hint)
    if parts.query or parts.fragment or path.endswith(("?", "#")):
        hint = (
            "name the object itself: a signed address is a secret that does not belong in a spec,"
            " and it expires"
        )
        raise NoPlace(f"the address {told} goes on with `?` or `#`", hint)
    _check_scheme(scheme.lower(), parts.hostname or "", told)
    if not parts.netloc or not parts.path.strip("/"):
        what = "https://HOST" if scheme.lower() == "https" else f"{scheme}://BUCKET"
        raise NoPlace(f"{told} names no file", f"write `{what}/….csv`")
    if port is not None and scheme.lower() not in {"http", "https"}:
        raise NoPlace(f"{told} has a port", "name the bucket alone")
    segments = parts.path.removeprefix("/").split("/")
    if {"", ".", ".."} & {unquote(segment) for segment in segments}:
        raise NoPlace(f"{told} has a part that is empty or only dots", "name the object itself")


def _check_scheme(scheme: str, host: str, told: str) -> None:
    """Check where an address leads. Raises `NoPlace`."""
    if scheme in _SCHEMES or (scheme == "http" and is_loopback(host)):
        return
    if scheme == "http":
        raise NoPlace(f"{told} is not encrypted on its way", "write `https://…`")
    meant = _INSTEAD.get(scheme) or did_you_mean(scheme, _SCHEMES)
    if scheme == "file":
        raise NoPlace(f"{told} is an address of a local file", _RELATIVE_HINT)
    listed = ", ".join(f"`{known}://`" for known in _SCHEMES)
    hint = f"did you mean `{meant}://`?" if meant else f"a list can lie at {listed}"
    raise NoPlace(f"{told}: lists are not read from `{scheme}://`", hint)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, where nothing travels unencrypted."""
    return host in {"localhost", "::1"} or re.fullmatch(r"127(?:\.[0-9]{1,3}){3}", host) is not None


def _check_there(root: FilePath, spec_path: str, path: str) -> None:
    """Check what lies at a path below the root. Raises `NoPlace`."""
    full = root / path
    if os.path.exists(full):  # noqa: PTH110 - Path's raises for a name that is too long
        if not is_within(full, os.path.realpath(root)):
            raise NoPlace(
                f"{quoted_path(path)} is a symlink out of the batches root",
                "copy the list into the root",
            )
        return
    message = f"there is no file {quoted_path(path)} below the batches root"
    directory = os.path.dirname(spec_path)  # noqa: PTH120 - a text
    beside = f"{directory}/{path}" if directory else path
    if os.path.isfile(root / beside):  # noqa: PTH113 - as above
        raise NoPlace(message, f"paths are relative to the batches root: write `file: {beside}`")
    try:
        others = [entry.name for entry in full.parent.iterdir()]
    except OSError:
        others = []
    if full.name in others:
        raise NoPlace(
            f"{quoted_path(path)} is a symlink that points at nothing",
            "correct or delete the symlink",
        )
    folder = path.rpartition("/")[0]
    meant = did_you_mean(full.name, others)
    if meant is None:
        raise NoPlace(message, "paths are relative to the batches root")
    raise NoPlace(
        message, f"did you mean `{folder}/{meant}`?" if folder else f"did you mean `{meant}`?"
    )
