"""The error tree, and which exit status each kind of error has.

What the status of a run is that came to an end says its report (`reconciler.apply.report`).

    ReconcilerError             failed                                        exit 1
    ├── InvalidSpecs            specs or settings have errors (all of them)   exit 1
    ├── ApiError                the API answered no, or did not answer        exit 1
    │   └── TooLate             a request was not sent: its time was over     exit 1
    ├── StateError              the state cannot be read or written           exit 1
    │   ├── StateMoved          another run stored a state first              exit 1
    │   └── Unrecorded          batches exist whose ids could not be stored   exit 3
    ├── Superseded              a newer checkout applies what counts now      exit 0
    ├── Refused                 a guard said no                               exit 4
    │   ├── StateLocked         another apply holds this state                exit 4
    │   └── StateUnusable       newer format, conflict, truncated, edited     exit 4
    └── Usage                   the command line is wrong                     exit 64

Every error says what happened; its cause chain says why; `hint` says what to type next.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model import Diagnostic


STOPPED = "stopped; nothing was begun"
"""What is said after Ctrl-C, …"""
INTERRUPTED = 130
"""… and the exit status then, as shells have it."""


class ExitCode(IntEnum):
    """What a command's exit status means. Part of the interface: values never change."""

    DONE = 0
    FAILED = 1
    CHANGES_PENDING = 2
    """`plan --detailed-exitcode` only."""
    UNKNOWN_OUTCOME = 3
    REFUSED = 4
    USAGE = 64


class ReconcilerError(Exception):
    """Something that stops a command, told to a person: what happened and what to type next."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidSpecs(ReconcilerError):  # noqa: N818 - named for what a person sees
    """Specs or settings have errors; carries every one of them, not the first."""

    def __init__(self, diagnostics: Sequence[Diagnostic], *, hint: str = "") -> None:
        count = len(diagnostics)
        super().__init__(
            f"{count} error{'' if count == 1 else 's'} in specs or settings", hint=hint
        )
        self.diagnostics = tuple(diagnostics)


class ApiError(ReconcilerError):
    """A read or a lifecycle call failed: the API said no, or gave no usable answer."""


class TooLate(ApiError):  # noqa: N818 - the vocabulary's word
    """A request was not sent: its time was over before it could leave."""


class StateError(ReconcilerError):
    """The state could not be read or written, for a reason outside its content (a full disk)."""


class Refused(ReconcilerError):  # noqa: N818 - the vocabulary's word
    """A guard said no. Guards fail closed: what cannot be checked is refused."""

    exit_code = ExitCode.REFUSED


class StateLocked(Refused):
    """Another apply on this machine holds the state."""


class StateUnusable(Refused):
    """The state's content cannot be trusted, and so is neither used nor overwritten."""


class StateMoved(StateError):  # noqa: N818 - named for what happened
    """Somebody else stored a state since this run read it; nothing was stored, so plan again."""


class Unrecorded(StateError):  # noqa: N818 - named for what happened
    """Batches were created and their ids could not be stored: by the state they are in doubt."""

    exit_code = ExitCode.UNKNOWN_OUTCOME


class Superseded(ReconcilerError):  # noqa: N818 - the vocabulary's word
    """The branch has moved past this checkout: a newer run applies what counts now."""

    exit_code = ExitCode.DONE


class Usage(ReconcilerError):  # noqa: N818 - the vocabulary's word
    """The command line, environment or settings ask for something impossible."""

    exit_code = ExitCode.USAGE
