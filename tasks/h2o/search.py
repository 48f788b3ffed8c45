"""How a grid goes through the combinations of its hyper-parameters, under H2O's own names."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.automl import StoppingMetric
from tasks.contracts import Frozen
from tasks.h2o.ranges import LONGEST_RUNTIME_SECONDS, MOST_LONG

GridStoppingMetric = Literal[StoppingMetric, "anomaly_score"]


class Cartesian(Frozen):
    """Every combination, one after the other."""

    strategy: Literal["Cartesian"]


class RandomDiscrete(Frozen):
    """Combinations drawn at random, until a limit is reached or none is left."""

    strategy: Literal["RandomDiscrete"]
    max_models: int = Field(default=0, ge=0, le=10_000, description="Most models to train; 0: no limit.")
    max_runtime_secs: float = Field(
        default=0, ge=0, le=LONGEST_RUNTIME_SECONDS, description="Most seconds to train; 0: no limit."
    )
    seed: int = Field(default=-1, ge=-1, le=MOST_LONG, description="For the same order again; -1: random.")
    stopping_rounds: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Stop when the best models' metric didn't improve over so many models; 0: never.",
    )
    stopping_metric: GridStoppingMetric = Field(
        default="AUTO", description="What that looks at; AUTO: logloss for classes, deviance for numbers."
    )
    stopping_tolerance: float = Field(
        default=0.001, ge=0, lt=1, description="The relative improvement that counts for that."
    )


SearchCriteria = Annotated[Cartesian | RandomDiscrete, Field(discriminator="strategy")]
