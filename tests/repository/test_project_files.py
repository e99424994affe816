"""The files a newcomer, a packager or a reviewer looks for say what they must."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from packaging.version import Version

import reconciler


def test_the_version_is_one_a_packager_accepts() -> None:
    """The version is in its canonical form, and no local build's."""
    version = Version(reconciler.__version__)
    assert str(version) == reconciler.__version__
    assert version.local is None


def test_the_changelog_has_a_place_for_the_next_change(root: Path) -> None:
    """The first version listed is `Unreleased`, so that each change brings its own line."""
    versions = re.findall(
        r"^## \[?([^\]\s]+)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert versions[:1] == ["Unreleased"]


def test_every_python_we_promise_is_tested(root: Path, pyproject: dict[str, Any]) -> None:
    """The versions in the package's description are those of the pipeline."""
    prefix = "Programming Language :: Python :: "
    promised = [
        line.removeprefix(prefix)
        for line in pyproject["project"]["classifiers"]
        if line.startswith(prefix)
    ]
    workflow = (root / ".github/workflows/ci.yml").read_text("utf-8")
    assert [v for v in promised if f'"{v}"' not in workflow] == []


def test_every_target_is_described(root: Path) -> None:
    """Each target a person may type says what it does, so that `make` alone lists it."""
    makefile = (root / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY:((?:[^\n]*\\\n)*[^\n]*)", makefile, re.MULTILINE)
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    described = set(re.findall(r"^  ([a-z]+) +\S", listed, re.MULTILINE))
    assert described == set(phony.replace("\\", "").split())


def test_every_target_is_in_the_guide(root: Path) -> None:
    """CONTRIBUTING.md names each check, and no target that is not there."""
    makefile = (root / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", (root / "CONTRIBUTING.md").read_text("utf-8")))
    assert named <= targets
    assert targets - named <= {"help", "setup", "clean"}


def test_programs_can_be_run(root: Path) -> None:
    """Scripts that start with `#!` are executable, and only those."""
    listing = subprocess.run(
        ["git", "ls-files", "-s", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    wrong = []
    for entry in filter(None, listing.split("\0")):
        about, _, name = entry.partition("\t")
        path = Path(root, name)
        if path.is_file():
            runnable = about.startswith("100755")
            if runnable != path.read_bytes().startswith(b"#!"):
                wrong.append(name)
    assert wrong == []
