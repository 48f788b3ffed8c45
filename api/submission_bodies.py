"""What a submission may say: one model per kind, told apart by ``kind``."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Union

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    create_model,
)

from api.problems import FieldError, Problem, invalid
from api.webhooks import WebhookBody
from tasks.contracts import ArtifactInput, FileInput, JobSpec, ModelInput
from tasks.errors import InvalidInput
from tasks.kind import Kind
from tasks.registry import kind_named

MOST_ERRORS = 100
_INPUT_SHAPES = {FileInput.__name__, ArtifactInput.__name__, ModelInput.__name__}
TagName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}$")]
TagValue = Annotated[str, Field(max_length=255)]


def _in_utc(when: datetime) -> datetime:
    try:
        return when.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("In UTC this time is outside of the years 1 to 9999.") from exc


class SubmissionBody(BaseModel):
    """A job to submit. A subclass for each kind pins ``kind``, ``spec`` and the queues to choose from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    spec: JobSpec
    queue: str | None = Field(default=None, description="One of the kind's queues; its first one if not given.")
    priority: int = Field(default=4, ge=0, le=9, description="9 goes first.")
    deadline_seconds: float | None = Field(
        default=None, gt=0, le=30 * 86400, description="The job fails when it is not done this long after submission."
    )
    time_limit_seconds: float | None = Field(
        default=None, gt=0, description="Longest time of one attempt; the kind's own limit if not given."
    )
    max_attempts: int | None = Field(default=None, ge=1, le=20, description="The kind's own number if not given.")
    run_at: Annotated[AwareDatetime, AfterValidator(_in_utc)] | None = Field(
        default=None, description="Not before this time."
    )
    # Made anew for each: a default that could be changed would be copied at ten times the cost.
    after: list[str] = Field(
        default_factory=list,
        json_schema_extra={"default": []},
        max_length=100,
        description="Ids of jobs that must succeed first.",
    )
    tags: dict[TagName, TagValue] = Field(
        default_factory=dict,
        json_schema_extra={"default": {}},
        max_length=32,
        description="Your own labels, to list jobs by.",
    )
    webhook: WebhookBody | None = Field(default=None, description="Where to tell of the job's course.")

    def canonical_json(self) -> bytes:
        """The same for every way to write the same submission; defaults that were not given are left out, so that a
        release that changes one still recognises a retried submission."""
        document = self.model_dump(mode="json", exclude_unset=True)
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    def spec_document(self) -> dict[str, Any]:
        """The spec as it is kept: what was said, without defaults, because some specs heed which options were given."""
        return self.spec.model_dump(mode="json", exclude_unset=True)


class SubmissionBodies:
    """The models of all kinds."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        self._models = {name: _model(kind) for name, kind in kinds.items()}

    def validate(self, raw: JsonValue) -> SubmissionBody:
        """Raises the 422 problem that names each field that is wrong."""
        if not isinstance(raw, dict):
            raise invalid([FieldError("", "A submission is a JSON object with 'kind' and 'spec'.")])
        name = raw.get("kind")
        if not isinstance(name, str):
            raise invalid([FieldError("kind", "Say which kind of job this is; GET /v1/kinds lists them.", "missing")])
        try:
            kind_named(self._kinds, name)
            return self._models[name].model_validate(raw)
        except InvalidInput as exc:
            raise invalid([FieldError("kind", str(exc), "unknown_kind")]) from exc
        except ValidationError as exc:
            raise invalid(field_errors(exc)) from exc

    def validate_many(self, raws: list[JsonValue]) -> list[SubmissionBody]:
        """All of them, or the 422 problem whose fields begin with the index of each wrong item."""
        bodies: list[SubmissionBody] = []
        errors: list[FieldError] = []
        for index, raw in enumerate(raws):
            try:
                bodies.append(self.validate(raw))
            except Problem as exc:
                errors += [_at_index(index, error) for error in exc.errors]
                if len(errors) >= MOST_ERRORS:
                    break
        if errors:
            raise invalid(errors[:MOST_ERRORS])
        return bodies

    def openapi_schemas(self) -> dict[str, Any]:
        """Schemas for ``#/components/schemas``; ``Submission`` is the union of all kinds."""
        models = tuple(self._models.values())
        if not models:
            return {"Submission": SubmissionBody.model_json_schema(ref_template=_REFERENCE)}
        union: Any = (
            models[0] if len(models) == 1 else Annotated[Union[models], Field(discriminator="kind")]  # noqa: UP007 - made from a list
        )
        schema = TypeAdapter(union).json_schema(ref_template=_REFERENCE)
        definitions = schema.pop("$defs", {})
        return {**definitions, "Submission": schema}


_REFERENCE = "#/components/schemas/{model}"


def _model(kind: Kind) -> type[SubmissionBody]:
    name = "".join(part.capitalize() for part in kind.name.split("_")) + "Submission"
    limit = kind.time_limit.total_seconds()
    fields: dict[str, Any] = {
        "kind": (Literal[kind.name], ...),
        "spec": (kind.spec, ...),
        "queue": (Literal[tuple(queue.value for queue in kind.queues)] | None, None),
        "time_limit_seconds": (Annotated[float, Field(gt=0, le=limit)] | None, None),
    }
    model: type[SubmissionBody] = create_model(name, __base__=SubmissionBody, __doc__=kind.doc, **fields)
    return model


def _at_index(index: int, error: FieldError) -> FieldError:
    return FieldError(f"{index}.{error.field}".rstrip("."), error.message, error.code)


def field_errors(exc: ValidationError) -> list[FieldError]:
    """Pydantic's errors without what was sent, because that may be long or secret."""
    found: dict[str, FieldError] = {}
    for error in exc.errors(include_url=False, include_context=False, include_input=False):
        place = [str(part) for part in error["loc"]]
        shape = next((i for i, part in enumerate(place) if part in _INPUT_SHAPES), None)
        if shape is not None:
            # An input fits one of several shapes; what is wrong with each of them would be five errors for one field.
            field = ".".join(place[:shape])
            message = 'Give {"file": id} for an uploaded file, {"job": id, "artifact": name}, or {"model": name}.'
            found.setdefault(field, FieldError(field, message, "not_an_input"))
            continue
        message = "There is no such field." if error["type"] == "extra_forbidden" else error["msg"]
        code = "unknown_field" if error["type"] == "extra_forbidden" else error["type"]
        field = ".".join(place)
        found[f"{field} {code}"] = FieldError(field, message.removeprefix("Value error, "), code)
    return list(found.values())
