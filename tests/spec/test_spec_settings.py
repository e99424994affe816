"""A root's `reconciler.yaml`: defaults, durations, and no setting guessed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict

from reconciler.errors import InvalidSpecs
from reconciler.spec.config import settings
from reconciler.spec.config.policy import Policy
from reconciler.spec.config.setting_rules import RULES
from reconciler.spec.config.settings import Settings, load_settings
from reconciler.spec.config.settings_model import SettingsFile
from reconciler.spec.models import Split
from reconciler.spec.problems import Collector
from reconciler.spec.rules import ruled
from reconciler.spec.yaml.scalars import Plain, Unfit

if TYPE_CHECKING:
    from reconciler.model import Diagnostic
    from tests.spec.conftest import Root


def _wrong(root: Root, content: str) -> tuple[Diagnostic, ...]:
    root.write("reconciler.yaml", content)
    with pytest.raises(InvalidSpecs) as caught:
        load_settings(root.path, shown="batches")
    return caught.value.diagnostics


@pytest.mark.parametrize("content", [None, "", "# nothing\n", "\n\n", "state: ~\n"])
def test_without_settings_there_are_defaults(root: Root, content: str | None) -> None:
    """A root without the file, with an empty one or with comments only has all the defaults."""
    if content is not None:
        root.write("reconciler.yaml", content)
    assert load_settings(root.path) == Settings()
    assert (
        asdict(Settings()).items()
        >= {
            "state": "file",
            "state_remote": "origin",
            "state_branch": None,
            "unknown": "retry",
            "create_path": "/batches/",
            "parallelism": 4,
            "verify_for": 60,
            "settle": 600,
            "lease": 300,
            "chunk": 8,
        }.items()
    )


def test_every_setting_can_be_set(root: Root) -> None:
    """Each field is read, with durations in any unit."""
    root.write(
        "reconciler.yaml",
        "state: git\nstate_remote: upstream\nstate_branch: 2026\nunknown: hold\n"
        "create_path: /batches/upload\nparallelism: 64\nverify_for: 90\nsettle: 1.5h\n"
        'lease: "2 m"\nchunk: 1\narm_delay: 5m\naverage_call: 3m\n'
        "drain: 1m\nsplit: {max_contacts: 5000}\n"
        "require_reviewed_plan: true\nreviewed_plan_author: plans[bot]\n"
        "policy: {max_batches: 3}\nfreeze: too many complaints\n",
    )
    assert asdict(load_settings(root.path)) == {
        "arm_delay": 300,
        "average_call": 180,
        "drain": 60,
        "policy": Policy(max_batches=3),
        "split": Split(max_contacts=5_000),
        "state": "git",
        "state_remote": "upstream",
        "state_branch": "2026",
        "require_reviewed_plan": True,
        "reviewed_plan_author": "plans[bot]",
        "unknown": "hold",
        "create_path": "/batches/upload",
        "parallelism": 64,
        "verify_for": 90,
        "settle": 5_400,
        "lease": 120,
        "chunk": 1,
        "freeze": "too many complaints",
    }


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("0", 0), ("90", 90), ("90s", 90), ("2m", 120), ("1h", 3_600), ("1d", 86_400), ("0.5", 0.5)],
)
def test_durations(root: Root, written: str, seconds: float) -> None:
    """A duration is a number of seconds, or a number with a unit."""
    root.write("reconciler.yaml", f"verify_for: {written}\n")
    assert load_settings(root.path).verify_for == seconds


@pytest.mark.parametrize(
    ("content", "said", "hint"),
    [
        ("unknown: hlod", "it can be `retry`, `hold`", "did you mean `hold`?"),
        ("unknwon: hold", "unknown field `unknwon`", "did you mean `unknown`?"),
        ("parallelism: 65", "it can be 1 to 64", ""),
        ("parallelism: 0", "it can be 1 to 64", ""),
        ('parallelism: "4"', "not a number", "remove the quotes"),
        ("chunk: 0", "it can be 1 or more", ""),
        ("freeze: yes", "which could mean either", "write `true`, `false` or a reason"),
        ("freeze: [a]", "a list where text is needed", ""),
        ("settle: -1", "a duration is needed", "`90s`, `2m`, `1h`, `1d`"),
        ("settle: 2 weeks", "a duration is needed", "`90s`"),
        ("settle: [1]", "is a list where a duration", ""),
        ("lease: 0", "a lease must last", ""),
        ("average_call: 0", "a call takes time", "`2m`"),
        ("require_reviewed_plan: yes", "where yes or no is needed", "`true` or `false`"),
        ('require_reviewed_plan: "tru"', "where yes or no is needed", "`true` or `false`"),
        ("state_remote: --upload-pack=x", "take for an option", "`origin`"),
        ("create_path: /other", "it can be `/batches/`, `/batches/upload`", ""),
        ("- a", "a list where a mapping", ""),
        ("state: git\nstate: file", "a second time; it is on line 1", ""),
        ("state: {", "", ""),
    ],
)
def test_a_wrong_setting_is_an_error(root: Root, content: str, said: str, hint: str) -> None:
    """Nothing falls back to a default: each wrong setting is named with file, line and a way."""
    (one,) = _wrong(root, content + "\n")
    assert said in one.message
    assert hint in one.hint
    assert one.file == "batches/reconciler.yaml"
    assert one.line >= 1


def test_all_wrong_settings_are_reported_at_once(root: Root) -> None:
    """Three mistakes are three diagnostics, in one go."""
    found = _wrong(root, "parallelism: 0\nunknown: maybe\nfoo: 1\n")
    assert [one.line for one in found] == [1, 2, 3]


def test_settings_are_frozen() -> None:
    """Nobody changes settings halfway through a run."""
    with pytest.raises(AttributeError):
        setattr(Settings(), "parallelism", 2)  # noqa: B010 - the type checker knows already


def test_settings_are_no_spec(root: Root) -> None:
    """`reconciler.yaml` in the root is not read as a spec."""
    root.write("reconciler.yaml", "state: git\n")
    root.spec()
    loaded = root.load()
    assert (len(loaded.specs), loaded.diagnostics, loaded.files) == (1, (), 1)


def test_a_broken_symlink_for_settings_is_an_error(root: Root) -> None:
    """Settings that cannot be read are not taken for settings that do not exist."""
    (root.path / "reconciler.yaml").symlink_to("nowhere")
    with pytest.raises(InvalidSpecs):
        load_settings(root.path)


def test_the_file_can_say_what_there_is_to_set() -> None:
    """The settings and the shape of their file have the same fields, and the same defaults."""
    assert set(Settings.__struct_fields__) == set(SettingsFile.model_fields)
    assert SettingsFile().model_dump() == asdict(Settings())


_WORDS = ["git", "file", "hold", "origin", "--x", "/batches/", "true", "tru", "~", "", "a b"]
_NUMBERS = ["0", "1", "64", "65", "-1", "007", "90s", "1.5h", "2 weeks", "1e3"]
_WRITTEN = st.sampled_from([*_WORDS, *_NUMBERS])
_VALUE: st.SearchStrategy[Any] = st.one_of(
    _WRITTEN, _WRITTEN.map(Plain), st.just([]), st.just({"max_contacts": "5"})
)


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(st.dictionaries(st.sampled_from([*SettingsFile.model_fields, "no"]), _VALUE))
def test_simple_settings_are_read_as_the_model_reads_them(document: dict[str, Any]) -> None:
    """What is read without the model is what the model reads; all else is left to it."""
    collector = Collector()
    thorough = settings._thoroughly(document, collector)
    try:
        quick = Settings(**ruled(document, RULES))
    except (Unfit, KeyError):
        assert thorough is None or not document.keys() <= RULES.keys()
    else:
        assert quick == thorough


@pytest.mark.parametrize("content", [None, "state: git\nstate_branch: state\nsettle: 5m\n"])
def test_simple_settings_need_no_model(root: Root, content: str | None) -> None:
    """They are read without importing pydantic, which would be most of what a small plan takes."""
    if content is not None:
        root.write("reconciler.yaml", content)
    program = (
        "import sys; from pathlib import Path\n"
        "from reconciler.spec.config.settings import load_settings\n"
        "load_settings(Path(sys.argv[1])); assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(root.path)], check=True)
