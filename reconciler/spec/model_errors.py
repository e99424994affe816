"""What pydantic found wrong with a spec or with settings, in our words.

Unknown fields are the common mistake: each gets a suggestion, from a list of what people write in
place of a field's name, or by likeness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from reconciler.spec.lists.list_model import ContactsFile
from reconciler.spec.models import BatchSpec, Reconcile
from reconciler.spec.problems import Path, Problem, did_you_mean, dotted, quoted
from reconciler.spec.yaml.scalars import Unfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel, ValidationError

_INSTEAD = {
    "batch": "reconcile.name",
    "callcontext": "call_context",
    "campaign": "campaign_id",
    "concurrency": "concurrency_limit",
    "context": "call_context",
    "max_concurrency": "concurrency_limit",
    "max_retries": "max_retries_override",
    "numbers": "contacts",
    "org": "organization_id",
    "org_id": "organization_id",
    "organisation_id": "organization_id",
    "people": "contacts",
    "recipients": "contacts",
    "retries": "max_retries_override",
    "schedule": "scheduled_start",
    "schedule_at": "scheduled_start",
    "scheduled_at": "scheduled_start",
    "start": "scheduled_start",
    "start_at": "scheduled_start",
    "start_time": "scheduled_start",
    "tags": "metadata",
}
_OF_CONTACTS = frozenset({"phone_number", "phone", "call_variables", "callee_name", "variables"})
_OF_API = frozenset({"batch_id", "status", "total_contacts", "created_at", "counters"})
_TOP = tuple(BatchSpec.model_fields)
_TOOL = tuple(Reconcile.model_fields)
_LIST: Path = ("contacts", "file")
_NEEDED: dict[Path, str] = {
    ("campaign_id",): "every spec needs one: `campaign_id: cmp_…`",
    ("contacts",): "every spec needs `contacts:` with a list below it, or `file: contacts/….csv`",
    _LIST: "write `file: contacts/….csv`, or begin each contact with `- `",
}


def model_problems(error: ValidationError, model: type[BaseModel]) -> Iterator[Problem]:
    """Give every error of a validation of `model` as a problem."""
    errors = error.errors(include_url=False, include_input=False)
    in_a_file = all((one["type"], one["loc"]) != ("missing", _LIST) for one in errors)
    for one in errors:
        path: Path = tuple(one["loc"])
        name = quoted(str(path[-1])) if path else "the file"
        context = one.get("ctx") or {}
        if one["type"] == "extra_forbidden":
            fields = _fields(model, path[:-1])
            message = f"unknown field {name}"
            hint = _suggestion(path, fields, in_a_file=in_a_file)
            yield Problem(path, message, hint, "unknown field", at_key=True)
        elif one["type"] == "missing":
            yield Problem(path, f"{name} is missing", _NEEDED.get(path, ""))
        elif isinstance(unfit := context.get("error"), Unfit):
            yield Problem(path, f"{name} {unfit.message}", unfit.hint)
        else:
            yield Problem(path, f"{name}: {one['msg']}")


def _fields(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """Name the fields that stand at a path of a model."""
    for step in path:
        if isinstance(step, str) and step in model.model_fields:
            model = _model_in(model.model_fields[step].annotation) or model
    return tuple(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the model in a type such as `tuple[Model, ...] | None`; None where there is none."""
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return cast("type[BaseModel]", annotation)
    found = (_model_in(each) for each in get_args(annotation))
    return next((each for each in found if each is not None), None)


def _suggestion(path: Path, top: tuple[str, ...], *, in_a_file: bool) -> str:
    """Say what was probably meant by an unknown field; `in_a_file` is where the contacts are."""
    name = str(path[-1])
    above = path[:-1]
    if above == ("reconcile",):
        if name in _TOP:
            return f"move {quoted(name)} to the top level: indent it like `reconcile`"
        return _likely(name, _TOOL)
    if above == ("contacts",):
        if in_a_file:
            return _beside_the_file(name)
        if name in _OF_CONTACTS:
            return "begin each contact with `- `: `- phone_number: …`"
        return _likely(name, tuple(ContactsFile.model_fields))
    if top != _TOP:
        return _likely(name, top)
    return _top_suggestion(name)


def _beside_the_file(name: str) -> str:
    """Say what `contacts` may hold where the list is in a file of its own."""
    fields = [field for field in ContactsFile.model_fields if field != "file"]
    meant = did_you_mean(name, fields)
    guess = f"did you mean `{meant}`? " if meant else ""
    listed = ", ".join(f"`{field}`" for field in fields)
    return f"{guess}beside `file`, `contacts` takes {listed}"


def _top_suggestion(name: str) -> str:
    plain = name.lower().replace("-", "_")
    if plain in _TOOL:
        return f"move it below `reconcile:` (`{dotted(('reconcile', plain))}`)"
    if plain in _OF_CONTACTS:
        return "it belongs to each contact, in the list below `contacts:`"
    if plain in _OF_API:
        return "delete it: the API gives it, and the reconciler records it in the state"
    if plain in _INSTEAD:
        return f"did you mean `{_INSTEAD[plain]}`?"
    meant = did_you_mean(name, _TOP)
    tool = did_you_mean(name, _TOOL)
    if meant is None and tool is not None:
        return f"did you mean `{dotted(('reconcile', tool))}`?"
    return _likely(name, _TOP)


def _likely(name: str, known: tuple[str, ...]) -> str:
    meant = did_you_mean(name, known)
    if meant is not None:
        return f"did you mean `{meant}`?"
    return f"the fields are {', '.join(f'`{field}`' for field in known)}"
