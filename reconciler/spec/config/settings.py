"""A root's own settings, `reconciler.yaml`: where state lives and how careful applying is.

Every field has a default, a root without the file has them all, and the command line's options win
over both (`reconciler.cli` sees to that). A wrong setting is an error, never a default: `unknown:
hlod` must not mean `retry`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from reconciler.errors import InvalidSpecs
from reconciler.spec.discover import SETTINGS
from reconciler.spec.problems import Collector
from reconciler.spec.source import Unreadable, read_bytes
from reconciler.spec.yaml.documents import diagnose, read_document
from reconciler.spec.yaml.scalars import Unfit

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.spec.config.policy import Policy
    from reconciler.spec.models import Split

MAX_SETTINGS = 1024 * 1024


class Settings(Struct, frozen=True):
    """Settings of one batches root, and their defaults. Durations are in seconds.

    What each means and takes is said in `spec.config.settings_model`, once for all readers.
    """

    state: Literal["file", "git"] = "file"
    state_remote: str = "origin"
    state_branch: str | None = None
    require_reviewed_plan: bool = False
    reviewed_plan_author: str = "github-actions[bot]"
    unknown: Literal["retry", "hold"] = "retry"
    create_path: Literal["/batches/", "/batches/upload"] = "/batches/"
    parallelism: int = 4
    verify_for: float = 60.0
    settle: float = 600.0
    lease: float = 300.0
    arm_delay: float = 0.0
    average_call: float = 120.0
    drain: float = 300.0
    split: Split | None = None
    chunk: int = 8
    freeze: bool | str = False
    policy: Policy | None = None


def load_settings(root: Path, *, shown: str | None = None) -> Settings:
    """Read `reconciler.yaml` of a root; a missing file gives the defaults.

    `shown` is the root as the user typed it. Raises `InvalidSpecs` with everything wrong.
    """
    typed = str(root) if shown is None else shown
    file = os.path.join(typed, SETTINGS)  # noqa: PTH118 - keeps the root as typed
    try:
        data = read_settings(root / SETTINGS)
    except Unreadable as error:
        raise InvalidSpecs(diagnose([error.problem], b"", file)) from error
    return Settings() if data is None else settings_of(data, file)


def read_settings(path: Path) -> bytes | None:
    """Read a `reconciler.yaml`; None where there is none. Raises `Unreadable`."""
    if not os.path.lexists(path):
        return None
    return read_bytes(path, limit=MAX_SETTINGS, hint="settings are a few lines")


def settings_of(data: bytes, file: str) -> Settings:
    """Give what the bytes of a `reconciler.yaml` say; `file` is how messages call it.

    Raises `InvalidSpecs` with everything wrong.
    """
    if not any(line.partition(b"#")[0].strip() for line in data.splitlines()):
        return Settings()
    reading = read_document(data)
    collector = Collector(reading.problems)
    settings = None
    if reading.document is not None:
        settings = _checked(reading.document.value, collector)
    if collector or settings is None:
        found = diagnose(collector, data, file)
        raise InvalidSpecs(sorted(found, key=lambda one: (one.line, one.column)))
    return settings


def _checked(document: dict[str, Any], collector: Collector) -> Settings | None:
    """Check what a file says; None when something is wrong, which is then in `collector`.

    As with specs (see `reconciler.spec.check`), what is sound and simple goes without the models.
    """
    # What follows is imported where there is a file: most of what there is to import.
    from reconciler.spec.config.setting_rules import RULES  # noqa: PLC0415 - as above
    from reconciler.spec.rules import ruled  # noqa: PLC0415 - as said above

    try:
        return Settings(**ruled(document, RULES))
    except (Unfit, KeyError):
        return _thoroughly(document, collector)


def _thoroughly(document: dict[str, Any], collector: Collector) -> Settings | None:
    from pydantic import ValidationError  # noqa: PLC0415 - slow, and seldom needed

    from reconciler.spec.config.settings_model import SettingsFile  # noqa: PLC0415 - as above
    from reconciler.spec.model_errors import model_problems  # noqa: PLC0415 - as above

    try:
        written = SettingsFile.model_validate(document)
    except ValidationError as error:
        collector.extend(model_problems(error, SettingsFile))
        return None
    return Settings(**{name: getattr(written, name) for name in SettingsFile.model_fields})
