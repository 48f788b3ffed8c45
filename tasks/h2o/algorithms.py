"""The algorithms that can be trained alone or in a grid."""

from collections.abc import Mapping
from typing import Literal

AlgorithmName = Literal[
    "GLM",
    "GAM",
    "NaiveBayes",
    "DRF",
    "XRT",
    "GBM",
    "XGBoost",
    "DeepLearning",
    "RuleFit",
    "KMeans",
    "PCA",
    "IsolationForest",
    "ExtendedIsolationForest",
]

# H2O's name of each in ``/3/ModelBuilders``. As in AutoML, XRT is a DRF whose splits are drawn at random.
ALGORITHMS: Mapping[AlgorithmName, str] = {
    "GLM": "glm",
    "GAM": "gam",
    "NaiveBayes": "naivebayes",
    "DRF": "drf",
    "XRT": "drf",
    "GBM": "gbm",
    "XGBoost": "xgboost",
    "DeepLearning": "deeplearning",
    "RuleFit": "rulefit",
    "KMeans": "kmeans",
    "PCA": "pca",
    "IsolationForest": "isolationforest",
    "ExtendedIsolationForest": "extendedisolationforest",
}
# They learn from the features alone.
WITHOUT_TARGET = frozenset({"KMeans", "PCA", "IsolationForest", "ExtendedIsolationForest"})
# Which of them take the columns that specs name beside target and features.
TAKES: Mapping[str, frozenset[str]] = {
    "weights_column": frozenset({"GLM", "GAM", "DRF", "XRT", "GBM", "XGBoost", "DeepLearning", "RuleFit"}),
    "fold_column": frozenset(
        {"GLM", "GAM", "NaiveBayes", "DRF", "XRT", "GBM", "XGBoost", "DeepLearning", "KMeans"},
    ),
}
# H2O writes these as Java source only, which nothing here scores.
WITHOUT_MOJO = frozenset({"NaiveBayes"})
# Why score_table can't use the MOJOs of these.
UNSCORED: Mapping[str, str] = {
    "GAM": "the MOJO of a GAM wants the splines of its columns, which only H2O's EasyPredictModelWrapper makes",
    "PCA": "the MOJO of a PCA gives components of each row, which are no prediction",
}
