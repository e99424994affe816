"""Specs to measure with: the same bytes for the same numbers, on every machine."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_GIVEN = ("Rajesh", "Priya", "Anjali", "Vikram", "Meera", "Arjun", "Kavya", "Rohan")
_FAMILY = ("Sharma", "Iyer", "Patel", "Banerjee", "Khan", "Reddy", "Fernandes", "Kaur")
_PLANS = ("Basic Health", "Family Floater", "Senior Care", "Critical Illness Plus")


def write_specs(root: Path, *, specs: int, contacts: int) -> int:
    """Write `specs` files with `contacts` contacts each below `root`, and give their size in bytes.

    No number is in two specs. A file of 20 contacts has about 3.8 kB.
    """
    chance = random.Random(20_260_512)  # noqa: S311 - nobody guards anything with this
    number = 7_000_000_000
    size = 0
    for index in range(specs):
        lines = [
            "# yaml-language-server: $schema=../../schemas/batch.schema.json",
            f"campaign_id: cmp_{index % 10:06d}",
            "scheduled_start: 2036-05-12T09:00:00",
            "concurrency_limit: 10",
            "metadata: {team: renewals, source: crm-export}",
            "contacts:",
        ]
        for _ in range(contacts):
            number += chance.randrange(1, 9)
            lines += [
                f'  - phone_number: "+91{number}"',
                "    call_variables:",
                f"      callee_name: {chance.choice(_GIVEN)} {chance.choice(_FAMILY)}",
                f"      current_plan: {chance.choice(_PLANS)}",
                f"      renewal_date: 2036-{chance.randrange(1, 13):02d}-15",
                f'      premium: "{chance.randrange(5_000, 90_000)}.00"',
            ]
        content = ("\n".join(lines) + "\n").encode()
        path = root / f"{index // 100:04d}" / f"{index % 100:02d}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        size += len(content)
    return size
