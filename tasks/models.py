"""How a spec names a model."""

from typing import Annotated

from pydantic import Field

from tasks.contracts import ArtifactInput, FileInput, Frozen

ModelName = Annotated[str, Field(min_length=1, max_length=200)]


class HubModel(Frozen):
    """A model of the Hugging Face hub."""

    hub: str = Field(
        min_length=1, max_length=200, description="Its id, such as sentence-transformers/all-MiniLM-L6-v2."
    )
    revision: str | None = Field(default=None, max_length=200, description="A branch, tag or commit.")


class NamedModel(Frozen):
    """A model that was given a name here."""

    model: ModelName = Field(description="Its name among those of `GET /v1/models`.")


ModelRef = Annotated[
    ModelName | HubModel | NamedModel | FileInput | ArtifactInput,
    Field(
        description="A directory among the server's models or an id of the Hugging Face hub, or an object that names "
        "a hub's model with its revision, a model by its name here, an uploaded file, or an artifact of a job."
    ),
]
