"""Which options are of another problem than the target poses: H2O fails on some of them late, and ignores others."""

from collections.abc import Iterable, Mapping
from typing import Literal

_CLASSIFICATION_ONLY = frozenset(
    {
        "AUC",
        "AUCPR",
        "logloss",
        "mean_per_class_error",
        "lift_top_group",
        "misclassification",
        "bernoulli",
        "binomial",
        "multinomial",
        "CrossEntropy",
        "logit",
    }
)
_REGRESSION_ONLY = frozenset(
    {
        "deviance",
        "MAE",
        "RMSLE",
        "gaussian",
        "poisson",
        "gamma",
        "tweedie",
        "negativebinomial",
        "laplace",
        "quantile",
        "huber",
        "Huber",
        "Absolute",
        "Quantile",
        "identity",
        "log",
        "inverse",
    }
)
_TWO_CLASSES_ONLY = frozenset({"AUC", "AUCPR", "lift_top_group", "bernoulli", "binomial", "logit"})
_MORE_CLASSES_ONLY = frozenset({"multinomial"})
# Options whose values are among those above.
FITTED = ("sort_metric", "stopping_metric", "distribution", "family", "link", "loss")
# A parameter that only one distribution or family has, and which.
PARAMETER_OF_DISTRIBUTION = {"tweedie": "tweedie_power", "quantile": "quantile_alpha", "huber": "huber_alpha"}


def misfit(options: Mapping[str, Iterable[object]], problem: Literal["classification", "regression"]) -> str | None:
    """Why options, with the values that each may take, don't fit that problem; None if they do."""
    foreign = _REGRESSION_ONLY if problem == "classification" else _CLASSIFICATION_ONLY
    for option in FITTED:
        for value in options.get(option, ()):
            if value in foreign:
                return f"{option} {value} doesn't apply to {problem}"
    if problem == "regression":
        for option in ("balance_classes", "binomial_double_trees"):
            if True in options.get(option, ()):
                return f"{option} doesn't apply to regression"
    return None


def class_misfit(options: Mapping[str, Iterable[object]], classes: int) -> str | None:
    """Why options don't fit a target with so many classes, in words that follow "has N classes, and "; None if they
    do."""
    for option in FITTED:
        for value in options.get(option, ()):
            if classes == 2 and value in _MORE_CLASSES_ONLY:
                return f"{option} {value} needs more than two"
            if classes > 2 and value in _TWO_CLASSES_ONLY:
                return f"{option} {value} applies to two only"
    if classes > 2 and any(options.get("monotone_constraints", ())):
        return "monotone_constraints apply to two only"
    return None
