"""Within which numbers each parameter makes sense: H2O tells types and defaults, and its builders refuse the rest late
or not at all.

From the checks of H2O 3.46's builders (``hex.tree.SharedTree``, ``hex.glm.GLM``, ``hex.deeplearning.DeepLearning``, …).
"""

from collections.abc import Mapping
from dataclasses import dataclass

MOST_INT = 2**31 - 1
# JSON's numbers are exact up to here.
MOST_LONG = 2**53 - 1
LONGEST_RUNTIME_SECONDS = 6 * 86400.0


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``, without these if ``open_low`` or ``open_high``; and besides, what means "unset"."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    unset: tuple[float, ...] = ()

    def has(self, value: float) -> bool:
        if value in self.unset:
            return True
        if self.low is not None and (value < self.low or (self.open_low and value == self.low)):
            return False
        return self.high is None or not (value > self.high or (self.open_high and value == self.high))

    def __str__(self) -> str:
        """Such as ``-1, or more than 0 and at most 1``."""
        parts = []
        if self.low is not None:
            parts.append(f"{'more than' if self.open_low else 'at least'} {self.low:g}")
        if self.high is not None:
            parts.append(f"{'less than' if self.open_high else 'at most'} {self.high:g}")
        return ", or ".join([*(f"{value:g}" for value in self.unset), " and ".join(parts)])


_SHARE = Range(0, 1, open_low=True)
_INSIDE = Range(0, 1, open_low=True, open_high=True)
_FRACTION = Range(0, 1)
_POSITIVE = Range(0, open_low=True)
_NOT_NEGATIVE = Range(0)
_COUNT = Range(1)
_OR_UNSET = Range(0, unset=(-1,))

_RANGES: Mapping[str, Range] = {
    "alpha": _FRACTION,
    "beta_epsilon": _POSITIVE,
    "bs": Range(0, 3),
    "class_sampling_factors": _POSITIVE,
    "classification_stop": Range(0, 1, unset=(-1,)),
    "cluster_size_constraints": _NOT_NEGATIVE,
    "col_sample_rate": _SHARE,
    "col_sample_rate_change_per_level": Range(0, 2, open_low=True),
    "col_sample_rate_per_tree": _SHARE,
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "colsample_bytree": _SHARE,
    "contamination": Range(0, 0.5, unset=(-1,)),
    "dispersion_epsilon": _POSITIVE,
    "dispersion_learning_rate": _POSITIVE,
    "elastic_averaging_moving_rate": _FRACTION,
    "elastic_averaging_regularization": _NOT_NEGATIVE,
    "epochs": _POSITIVE,
    "eps_prob": _NOT_NEGATIVE,
    "eps_sdev": _NOT_NEGATIVE,
    "epsilon": _POSITIVE,
    "eta": _SHARE,
    "extension_level": _NOT_NEGATIVE,
    "gainslift_bins": _OR_UNSET,
    "gamma": _NOT_NEGATIVE,
    "gradient_epsilon": Range(0, open_low=True, unset=(-1,)),
    "hidden": _COUNT,
    "hidden_dropout_ratios": Range(0, 1, open_high=True),
    "huber_alpha": _INSIDE,
    "init_dispersion_parameter": _POSITIVE,
    "initial_weight_scale": _POSITIVE,
    "input_dropout_ratio": Range(0, 1, open_high=True),
    "k": _COUNT,
    "l1": _NOT_NEGATIVE,
    "l2": _NOT_NEGATIVE,
    "lambda": _NOT_NEGATIVE,
    "lambda_min_ratio": Range(0, 1, open_low=True, open_high=True, unset=(-1,)),
    "laplace": _NOT_NEGATIVE,
    "learn_rate": _SHARE,
    "learn_rate_annealing": _SHARE,
    "max_abs_leafnode_pred": _NOT_NEGATIVE,
    "max_active_predictors": Range(1, unset=(-1,)),
    "max_after_balance_size": Range(0, 1000, open_low=True),
    "max_bins": Range(2),
    "max_categorical_features": _COUNT,
    "max_categorical_levels": _COUNT,
    "max_delta_step": _NOT_NEGATIVE,
    "max_depth": _NOT_NEGATIVE,
    "max_iterations": Range(1, unset=(-1,)),
    "max_iterations_dispersion": _COUNT,
    "max_leaves": _NOT_NEGATIVE,
    "max_num_rules": Range(1, unset=(-1,)),
    "max_rule_length": _COUNT,
    "max_runtime_secs": Range(0, LONGEST_RUNTIME_SECONDS),
    "max_w2": _POSITIVE,
    "min_child_weight": _NOT_NEGATIVE,
    "min_prob": Range(1e-10),
    "min_rows": _POSITIVE,
    "min_rule_length": _COUNT,
    "min_sdev": Range(1e-10),
    "min_split_improvement": _NOT_NEGATIVE,
    "mini_batch_size": _COUNT,
    "momentum_ramp": _NOT_NEGATIVE,
    "momentum_stable": Range(0, 1, open_high=True),
    "momentum_start": Range(0, 1, open_high=True),
    "mtries": Range(1, unset=(-1, -2)),
    "nbins": Range(2),
    "nbins_cats": Range(2),
    "nbins_top_level": Range(2),
    "nfolds": Range(2, 100, unset=(0,)),
    "nlambdas": Range(1, unset=(-1,)),
    "ntrees": Range(1, 100_000),
    "num_knots": Range(2),
    "obj_reg": Range(0, open_low=True, unset=(-1,)),
    "objective_epsilon": Range(0, open_low=True, unset=(-1,)),
    "pred_noise_bandwidth": _NOT_NEGATIVE,
    "prior": Range(0, 1, open_low=True, open_high=True, unset=(-1,)),
    "quantile_alpha": _INSIDE,
    "rate": _SHARE,
    "rate_annealing": _NOT_NEGATIVE,
    "rate_decay": _NOT_NEGATIVE,
    "rate_drop": _FRACTION,
    "reg_alpha": _NOT_NEGATIVE,
    "reg_lambda": _NOT_NEGATIVE,
    "regression_stop": _OR_UNSET,
    "rho": _SHARE,
    "rule_generation_ntrees": Range(1, 100_000),
    "sample_rate": _SHARE,
    "sample_rate_per_class": _SHARE,
    "sample_size": _COUNT,
    "scale": _POSITIVE,
    "scale_pos_weight": _POSITIVE,
    "score_duty_cycle": _FRACTION,
    "score_interval": _NOT_NEGATIVE,
    "score_iteration_interval": Range(1, unset=(-1,)),
    "score_training_samples": _NOT_NEGATIVE,
    "score_tree_interval": _NOT_NEGATIVE,
    "score_validation_samples": _NOT_NEGATIVE,
    "seed": Range(-1, MOST_LONG),
    "skip_drop": _FRACTION,
    "spline_orders": _COUNT,
    "stopping_rounds": Range(0, 1000),
    "stopping_tolerance": Range(0, 1, open_high=True),
    "subsample": _SHARE,
    "target_ratio_comm_to_comp": _SHARE,
    "theta": _NOT_NEGATIVE,
    "train_samples_per_iteration": Range(-2),
    "tweedie_epsilon": _POSITIVE,
    "tweedie_power": Range(1, 2, open_low=True, open_high=True),
    "tweedie_variance_power": Range(1, unset=(0,)),
}
_OF_ONE: Mapping[tuple[str, str], Range] = {
    ("IsolationForest", "sample_rate"): Range(0, 1, open_low=True, unset=(-1,)),
    ("IsolationForest", "sample_size"): Range(1, unset=(-1,)),
}


def range_of(algo: str, name: str) -> Range | None:
    """None where any number will do."""
    return _OF_ONE.get((algo, name), _RANGES.get(name))
