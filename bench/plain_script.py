"""The script somebody would write from the vendor's examples: one list after the other.

    python plain_script.py URL CAMPAIGN DIRECTORY

Each list of the directory becomes one batch. It remembers nothing: run twice, it calls everybody
twice. That is what the reconciler is compared with, so it stays as short as such scripts are.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import requests  # type: ignore[import-not-found,import-untyped,unused-ignore] # only in build/bench

url, campaign, directory = sys.argv[1:]
headers = {"Authorization": f"Bearer {os.environ['GRAINE_API_KEY']}"}
for path in sorted(Path(directory).glob("*.csv")):
    contacts = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number = row.pop("phone_number")
            variables = {name: value for name, value in row.items() if value}
            contacts.append({"phone_number": number, "call_variables": variables})
    answer = requests.post(
        f"{url}/batches/",
        json={"campaign_id": campaign, "contacts": contacts},
        headers=headers,
        timeout=60,
    )
    answer.raise_for_status()
    print(path.name, answer.json()["batch_id"])
