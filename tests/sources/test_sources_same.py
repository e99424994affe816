"""The same people are the same batch, in whatever format and wherever their list lies."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from tests.sources.conftest import Keys, Root, Store

_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Cs", "Zl", "Zp")), max_size=12
)
_PEOPLE = st.dictionaries(
    st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True),
    st.fixed_dictionaries(
        {"callee_name": _TEXT.filter(str.strip)},
        optional={"plan": _TEXT, "note": _TEXT},
    ),
    min_size=1,
    max_size=6,
)
PEOPLE = {
    "+14155550100": {"callee_name": "Asha", "plan": "Basic"},
    "+14155550101": {"callee_name": "Ravi; R & D"},
    "+14155550102": {"callee_name": "Zoë", "note": 'says "hi"'},
}

People = dict[str, dict[str, str]]


def inline(people: People) -> str:
    """Write a spec with its contacts in it."""
    contacts = [{"phone_number": n, "call_variables": said} for n, said in people.items()]
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.width = 10_000
    out = io.StringIO()
    writer.dump({"campaign_id": "cmp_abc123", "contacts": contacts}, out)
    return out.getvalue()


def rows(people: People, seed: int = 0) -> list[dict[str, Any]]:
    """Give a row for each person, in another order."""
    found = [{"phone_number": number, **said} for number, said in people.items()]
    random.Random(seed).shuffle(found)  # noqa: S311 - nothing secret
    return found


def as_csv(people: People, seed: int = 0) -> bytes:
    """Write a list in CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["note", "callee_name", "phone_number", "plan"])
    writer.writeheader()
    writer.writerows(rows(people, seed))
    return out.getvalue().encode()


def as_jsonl(people: People, seed: int = 0) -> bytes:
    """Write a list in JSONL, some lines flat, some nested, some with escapes."""
    mixed = random.Random(seed)  # noqa: S311 - nothing secret
    lines = []
    for row in rows(people, seed):
        written = dict(row)
        if mixed.random() < 0.5:
            number = written.pop("phone_number")
            written = {"call_variables": written, "phone_number": number}
        lines.append(json.dumps(written, ensure_ascii=mixed.random() < 0.5))
    return "\n".join(lines).encode()


def as_parquet(people: People, seed: int = 0) -> bytes:
    """Write a list in Parquet, flat or with a struct."""
    found = rows(people, seed)
    columns = {name: [row.get(name) for row in found] for name in ("callee_name", "plan", "note")}
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    if seed % 2:
        struct = pa.StructArray.from_arrays(list(arrays.values()), list(arrays))
        arrays = {"call_variables": struct}
    out = io.BytesIO()
    numbers = pa.array([row["phone_number"] for row in found], pa.string())
    parquet.write_table(pa.table({"phone_number": numbers, **arrays}), out)
    return out.getvalue()


FORMATS = {"csv": as_csv, "jsonl": as_jsonl, "parquet": as_parquet}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(people=_PEOPLE, seed=st.integers(0, 2**16))
def test_every_format_says_the_same(root: Root, keys: Keys, people: People, seed: int) -> None:
    """The same people give the same digest from YAML, CSV, JSONL and Parquet, encrypted or not."""
    # A cell of a CSV list has no blanks around it, and an empty one is none.
    plain = {
        number: {name: text.strip(" \t") for name, text in said.items() if text.strip(" \t")}
        for number, said in people.items()
    }
    root.write("of_csv.yaml", inline(plain))
    root.write("yaml.yaml", inline(people))
    for name, write in FORMATS.items():
        root.write(f"a.{name}", write(plain if name == "csv" else people, seed))
        root.write(f"b.{name}.age", keys.seal(write(people, seed + 1)))
        root.naming(f"a.{name}", name=f"{name}.yaml")
        root.naming(f"b.{name}.age", name=f"sealed_{name}.yaml")
    loaded = root.load()
    assert [one.message for one in loaded.diagnostics] == []
    digests = {spec.name: spec.digest for spec in loaded.specs}
    assert digests.pop("csv") == digests["sealed_csv"] == digests.pop("of_csv")
    digests.pop("sealed_csv")
    assert len(digests) == 5
    assert len(set(digests.values())) == 1


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_list_elsewhere_says_the_same(
    root: Root, store: Store, keys: Keys, name: str, *, sealed: bool
) -> None:
    """A list in a store gives the digest that its people give in YAML, encrypted or not."""
    data = FORMATS[name](PEOPLE)
    data = keys.seal(data) if sealed else data
    address = f"/lists/may.{name}{'.age' if sealed else ''}"
    store.objects[address] = data
    sha256 = hashlib.sha256(data).hexdigest()
    root.naming(f"s3:/{address}", f"sha256: {sha256}\ncount: 3")
    root.write("inline.yaml", inline(PEOPLE))
    assert root.digest("a") == root.digest("inline")
    assert store.asked[0][1]["authorization"].startswith("AWS4-HMAC-SHA256 ")


@pytest.mark.parametrize("name", FORMATS)
def test_columns_and_variables_mean_the_same_in_every_format(root: Root, name: str) -> None:
    """Renamed, dropped and constant variables give the digest of the people they make."""
    root.write(f"a.{name}", FORMATS[name](PEOPLE))
    root.naming(
        f"a.{name}",
        "columns: {callee_name: plan, tariff: callee_name}\nother_columns: drop\n"
        "call_variables: {company: Example, since: 2026-07-01}",
    )
    kept = {"+14155550100": {"callee_name": "Basic", "tariff": "Asha"}}
    everybody = {"company": "Example", "since": "2026-07-01"}
    (said,) = {one.message for one in root.load().diagnostics}
    assert said == "`callee_name` is missing"
    some = {number: said for number, said in PEOPLE.items() if "plan" in said}
    root.write(f"a.{name}", FORMATS[name](some))
    root.write("inline.yaml", inline({n: {**said, **everybody} for n, said in kept.items()}))
    assert root.digest("a") == root.digest("inline")


@pytest.mark.parametrize("name", FORMATS)
def test_everybody_may_be_greeted_alike(root: Root, name: str) -> None:
    """A list without names is sound where the spec says how everybody is greeted."""
    root.write(f"a.{name}", FORMATS[name](PEOPLE))
    root.naming(f"a.{name}", "other_columns: drop\ncall_variables: {callee_name: neighbour}")
    assert "gives all of them one" in root.said()
    root.naming(
        f"a.{name}",
        "other_columns: drop\ncolumns: {name: callee_name}\n"
        "call_variables: {callee_name: neighbour}",
    )
    (spec,) = root.load().specs
    assert {c["call_variables"]["callee_name"] for c in spec.whole.contacts} == {"neighbour"}
