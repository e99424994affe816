"""Why calls are not going out, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from reconciler.render.status import campaign_line, moment, status_word
from reconciler.render.structured import FORMAT_VERSION
from reconciler.render.words import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.plan.explain import Explanation, Finding
    from reconciler.plan.progress import Reading
    from reconciler.state.document import Generation


def explain_text(
    name: str,
    generation: Generation | None,
    explanations: Sequence[Explanation],
    reading: Reading,
) -> str:
    """Say for each batch of a name what holds it back, when that ends, and what to do."""
    timezone = None
    lines = [name]
    if generation is not None:
        campaign = reading.campaigns.get(generation.campaign_id)
        timezone = campaign.timezone if campaign else None
        lines[0] += f", generation {generation.generation}"
        lines.append(f"campaign {campaign_line(generation.campaign_id, reading)}")
    parts = Counter(each.earlier for each in explanations)
    for each in explanations:
        if generation is not None:
            lines.append("")
            part = f"part {each.part}, " if parts[each.earlier] > 1 else ""
            part = f"generation {each.earlier}, {part}" if each.earlier else part
            lines.append(f"{part}{each.batch_id or 'no batch id'}: {status_word(each.status)}")
        for number, finding in enumerate(each.findings):
            label = "also" if number else "why"
            lines.extend(_finding_lines(label, finding, timezone, reading))
    return "\n".join(lines) + "\n"


def _finding_lines(
    label: str, finding: Finding, timezone: str | None, reading: Reading
) -> Iterator[str]:
    yield f"  {label:<6} {finding.message}"
    if finding.until:
        utc = f"{finding.until:%Y-%m-%d %H:%M} UTC"
        local = moment(finding.until, timezone)
        both = utc if local == utc else f"{local} ({utc})"
        yield f"  until  {both}, in {span((finding.until - reading.at).total_seconds())}"
    if finding.hint:
        yield f"  hint   {finding.hint}"


def explain_document(
    name: str,
    generation: Generation | None,
    explanations: Sequence[Explanation],
    reading: Reading,
) -> dict[str, Any]:
    """Give the same for programs: each batch's findings, the answer first."""
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "generation": generation.generation if generation else None,
        "campaign_id": generation.campaign_id if generation else None,
        "batches": [
            {
                "batch_id": each.batch_id,
                "part": each.part,
                "status": each.status,
                **({"generation": each.earlier} if each.earlier else {}),
                "findings": [
                    {
                        "cause": finding.cause.value,
                        "message": finding.message,
                        "hint": finding.hint,
                        "until": finding.until,
                    }
                    for finding in each.findings
                ],
            }
            for each in explanations
        ],
        "problems": [{"message": message, "hint": hint} for message, hint in reading.problems],
    }
