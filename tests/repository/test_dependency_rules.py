"""What we install is pinned, by hash, in lists that agree with pyproject.toml and each other."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from pathlib import Path

Pins = dict[str, tuple[Version, int]]
"""For each canonical name: the pinned version and how many hashes it may have."""

LISTS = ("runtime", "build", "dev", "lock")


def read_pins(path: Path) -> Pins:
    """Read a list of pins, refusing every line that is neither a pin nor a hash."""
    pins: Pins = {}
    for entry in path.read_text("utf-8").replace("\\\n", " ").splitlines():
        pin, *hashes = entry.split(" --hash=")
        requirement = Requirement(pin.strip())
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value.strip()) for value in hashes), entry
        pins[canonicalize_name(requirement.name)] = (Version(specifier.version), len(hashes))
    return pins


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, Pins]:
    """Give the pins of each list in requirements/."""
    return {name: read_pins(root / "requirements" / f"{name}.txt") for name in LISTS}


def declared(pyproject: dict[str, Any]) -> dict[str, list[str]]:
    """Give what pyproject.toml asks of each list."""
    product = [
        *pyproject["project"]["dependencies"],
        *(
            line
            for lines in pyproject["project"]["optional-dependencies"].values()
            for line in lines
        ),
    ]
    groups = pyproject["dependency-groups"]
    tools = [line for line in groups["dev"] if isinstance(line, str)]
    return {
        "runtime": product,
        "build": [*groups["build"], *pyproject["build-system"]["requires"]],
        "dev": [*product, *groups["build"], *tools],
        "lock": groups["lock"],
    }


@pytest.mark.parametrize("name", LISTS)
def test_every_declared_requirement_is_pinned(
    name: str, pins: dict[str, Pins], pyproject: dict[str, Any]
) -> None:
    """A requirement that is not pinned, or pinned outside its range, means `make lock` is due."""
    stale = []
    for line in declared(pyproject)[name]:
        requirement = Requirement(line)
        pin = pins[name].get(canonicalize_name(requirement.name))
        if pin is None or not requirement.specifier.contains(pin[0]):
            stale.append(line)
    assert stale == [], f"requirements/{name}.txt is out of date: run `make lock`"


@pytest.mark.parametrize("name", LISTS)
def test_every_pin_has_hashes(name: str, pins: dict[str, Pins]) -> None:
    """A pin without a hash would let an index hand out something else."""
    assert pins[name] != {}
    assert [package for package, (_, hashes) in pins[name].items() if hashes == 0] == []


def test_the_lists_agree(pins: dict[str, Pins]) -> None:
    """What is tested is what is run: the development list holds the very pins of the others."""
    for name in ("runtime", "build"):
        differing = {p: v for p, v in pins[name].items() if pins["dev"].get(p) != v}
        assert differing == {}, f"requirements/{name}.txt and dev.txt differ: run `make lock`"


@pytest.mark.parametrize("name", ["runtime", "build", "dev"])
def test_what_the_pins_need_is_pinned_too(name: str, pins: dict[str, Pins]) -> None:
    """`--require-hashes` installs nothing that a pinned package needs and the list leaves out."""
    missing = set()
    for package in pins[name]:
        try:
            needs = requires(package) or []
        except PackageNotFoundError:  # pinned for another platform
            continue
        for requirement in map(Requirement, needs):
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and canonicalize_name(requirement.name) not in pins[name]:
                missing.add(f"{package} needs {requirement.name}")
    assert missing == set()


def test_the_yaml_parser_written_in_c_is_there() -> None:
    """ruamel.yaml falls back to a parser 20 times as slow without saying so."""
    assert YAML(typ="safe").Parser.__name__ == "CParser"


def test_no_file_names_a_package_index(root: Path, committed: tuple[Path, ...]) -> None:
    """Where packages come from is the machine's business: no option, no address of an index."""
    option = re.compile(
        rb"(?:^|\s)--?(?:extra-)?index[-]url\b|(?:^|\s)--find[-]links\b", re.MULTILINE
    )
    address = re.compile(
        rb"https?://[^\s\"'<>]+/simple\b|https?://(?:[\w-]+\.)*(?:pypi|pythonhosted)\b"
    )
    naming = [
        path.relative_to(root).as_posix()
        for path in committed
        if (content := path.read_bytes()) and (option.search(content) or address.search(content))
    ]
    assert naming == []
