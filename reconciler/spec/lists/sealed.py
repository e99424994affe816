"""Lists that are encrypted with age: opened in memory only, by pyrage, which is imported here only.

The key comes from the environment: `RECONCILER_AGE_KEY` holds an identity, as `age-keygen` writes
it (its comments may stay), `RECONCILER_AGE_KEY_FILE` names a file with one. It is in no message.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.spec.problems import Problem, printable
from reconciler.spec.source import Unreadable
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from reconciler.spec.lists.csv_stream import Readable
    from reconciler.spec.lists.spool import File

KEY = "RECONCILER_AGE_KEY"
KEY_FILE = "RECONCILER_AGE_KEY_FILE"

_HEADER = b"age-encryption.org/"
_ARMOUR = b"-----BEGIN AGE ENCRYPTED FILE-----"
_SSH = re.compile(
    r"-----BEGIN (?P<kind>[A-Z ]*PRIVATE KEY)-----.+?-----END (?P=kind)-----\s*", re.DOTALL
)
_LARGEST_KEY = 64 * 1024
_ENCRYPT_AGAIN = "encrypt the list again: `age -r RECIPIENT -o ….csv.age ….csv`"


def opened(data: bytes) -> bytes:
    """Decrypt a list. Raises `Unreadable`, saying whether it is the key or the list."""
    pyrage = _pyrage()
    identities = _identities(pyrage)
    start = data[:200].lstrip()
    if not start.startswith((_HEADER, _ARMOUR)):
        raise _problem("the list is not encrypted with age, in spite of its name", _ENCRYPT_AGAIN)
    if b"-> scrypt " in data[:1000]:
        raise _problem("the list is encrypted with a passphrase, not for a key", _ENCRYPT_AGAIN)
    try:
        return bytes(pyrage.decrypt(data, identities))
    except pyrage.DecryptError as error:
        said = str(error)
    if "No matching keys" in said:
        hint = f"take the key it is for, or encrypt it for this one ({_recipients(identities)})"
        raise _problem("the list is encrypted for another key", hint)
    hint = "take the list anew from where it was encrypted"
    raise _problem("the encrypted list is damaged or cut short", hint)


def opened_into(stream: Readable, out: File) -> None:
    """Decrypt a list from where it is read to where it is to lie, holding neither.

    What was written to `out` is to be thrown away unless this ends well: bytes come out before the
    last are proven. Raises `Odd` when `opened` should say what is wrong, `Unreadable` without a
    key, and `OSError` when `out` cannot take it.
    """
    pyrage = _pyrage()
    identities = _identities(pyrage)
    writer = _Writer(out)
    try:
        pyrage.decrypt_io(stream, writer, identities)
    except (pyrage.DecryptError, OSError) as error:
        if writer.failed is not None:
            raise writer.failed from None
        raise Odd from error


class _Writer:
    """Where decrypted bytes go; remembers why they could not, which pyrage does not tell."""

    def __init__(self, out: File) -> None:
        self._out = out
        self.failed: OSError | None = None

    def write(self, data: bytes) -> int:
        """Add some bytes."""
        try:
            self._out.write(data)
        except OSError as error:
            self.failed = error
            raise
        return len(data)

    def flush(self) -> None:
        """Do nothing: no byte waits."""


def _pyrage() -> Any:
    try:
        import pyrage  # type: ignore[import-untyped]  # noqa: PLC0415 - it has no types; an extra
    except ImportError:
        hint = "pip install 'call-batch-reconciler[age]'"
        raise _problem("reading encrypted lists needs the extra `age`", hint) from None
    return pyrage


def _identities(pyrage: Any) -> list[Any]:
    """Read the keys of the environment. Raises `Unreadable` when there is none, or none that is."""
    identities: list[Any] = []
    written = os.environ.get(KEY, "")
    if written.strip():
        identities += _parsed(pyrage, written, KEY)
    path = os.environ.get(KEY_FILE, "")
    if path:
        identities += _parsed(pyrage, _file(path), f"the file that {KEY_FILE} names")
    if not identities:
        hint = f"put the key into {KEY}, or the path of a file that holds it into {KEY_FILE}"
        raise _problem("the list is encrypted, and there is no key", hint)
    return identities


def _file(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(_LARGEST_KEY).decode("utf-8", "replace")
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        message = f"the key file {printable(path)} cannot be read: {why}"
        raise _problem(message, f"{KEY_FILE} names it") from None


def _parsed(pyrage: Any, written: str, where: str) -> list[Any]:
    """Read every identity in a text: a line each, or SSH keys. Raises `Unreadable`."""
    lines = [line.strip() for line in _SSH.sub("", written).splitlines()]
    own = [line for line in lines if line and not line.startswith("#")]
    try:
        identities = [pyrage.x25519.Identity.from_str(line) for line in own]
        ssh = pyrage.ssh.Identity
        identities += [ssh.from_buffer(found[0].encode()) for found in _SSH.finditer(written)]
    except pyrage.IdentityError:
        identities = []
    if identities:
        return identities
    hint = "a key is the line that begins with `AGE-SECRET-KEY-1`"
    raise _problem(f"{where} holds no key that age could take", hint)


def _recipients(identities: list[Any]) -> str:
    """Give what a list is encrypted for, to be opened by these keys; nothing of it is secret."""
    public = [str(one.to_public()) for one in identities if hasattr(one, "to_public")]
    return ", ".join(public) or "an SSH key"


def _problem(message: str, hint: str) -> Unreadable:
    return Unreadable(Problem((), message, hint))
