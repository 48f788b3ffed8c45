"""What H2O's algorithms could be told and Turnout doesn't offer, with the reason."""

from collections.abc import Sequence

from tasks.h2o.algorithms import WITHOUT_TARGET

# The spec says these in its own words, or Turnout chooses them.
SAID_ELSEWHERE = frozenset(
    {
        "model_id",
        "training_frame",
        "validation_frame",
        "response_column",
        "ignored_columns",
        "weights_column",
        "fold_column",
    }
)
# They name a path, an address, code, or another object in the cluster, where other jobs have theirs too.
REACHES_OUT = frozenset(
    {
        "checkpoint",
        "export_checkpoints_dir",
        "in_training_checkpoints_dir",
        "in_training_checkpoints_tree_interval",
        "save_matrix_directory",
        "custom_metric_func",
        "custom_distribution_func",
        "eval_metric",
        "score_eval_metric_only",
        "calibrate_model",
        "calibration_frame",
        "calibration_method",
        "plug_values",
        "beta_constraints",
        "linear_constraints",
        "user_points",
        "initial_weights",
        "initial_biases",
        "pretrained_autoencoder",
        "knot_ids",
        "keep_gam_cols",
        "store_knot_locations",
        "export_weights_and_biases",
        "influence",
    }
)
# Of no use without one of the above.
_NEEDS_THOSE = frozenset(
    {
        "init_optimal_glm",
        "separate_linear_beta",
        "constraint_eta0",
        "constraint_tau",
        "constraint_alpha",
        "constraint_beta",
        "constraint_c0",
    }
)
# A model with an offset needs one for each row that it scores, which scoring without a cluster can't be given.
_OFFSETS = frozenset({"offset_column", "remove_offset_effects", "control_variables"})
# H2O ignores them, or they say what others say.
_SUPERFLUOUS = frozenset(
    {"r2_stopping", "max_confusion_matrix_size", "col_major", "quiet_mode", "interaction_pairs", "build_null_model"}
)
# They concern the machine, which several jobs share.
_MACHINE = frozenset({"nthread", "gpu_id", "backend", "parallelize_cross_validation"})
# Another sort of model than the one that the algorithm's name promises, or experiments of H2O's.
_OTHER_MODELS = frozenset({"autoencoder", "average_activation", "sparsity_beta", "validation_response_column"})
_OF_ONE: dict[str, frozenset[str]] = {"XRT": frozenset({"histogram_type"})}
_EVERYWHERE = SAID_ELSEWHERE | REACHES_OUT | _NEEDS_THOSE | _OFFSETS | _SUPERFLUOUS | _MACHINE | _OTHER_MODELS

# They need what is left out above, or are for models that aren't offered: uplift, and targets that H2O can neither
# cross-validate nor test as it does others.
_VALUES = frozenset(
    {
        "custom",
        "custom_increasing",
        "PlugValues",
        "User",
        "AUUC",
        "ATE",
        "ATT",
        "ATC",
        "qini",
        "ordinal",
        "ologit",
        "quasibinomial",
        "fractionalbinomial",
        "GLRM",
    }
)


def is_offered(algo: str, name: str) -> bool:
    """Whether a spec may name this parameter of H2O's."""
    return name not in _EVERYWHERE and name not in _OF_ONE.get(algo, frozenset())


def offered_values(algo: str, name: str, values: Sequence[str]) -> list[str]:
    """Those of a parameter's values that a spec may name."""
    if name == "stopping_metric" and algo in WITHOUT_TARGET:
        return ["AUTO", "anomaly_score"]
    foreign = _VALUES if algo in WITHOUT_TARGET else _VALUES | {"anomaly_score"}
    return [value for value in values if value not in foreign]
