"""What the source's example gives: its models, best first, each with its AUC in five-fold cross-validation."""

LEADERBOARD = [
    ("StackedEnsemble_BestOfFamily_1", 0.937592),
    ("StackedEnsemble_AllModels_1", 0.934905),
    ("XGBoost_2", 0.932810),
    ("XGBoost_3", 0.932392),
    ("GBM_2", 0.926839),
    ("XRT_1", 0.925775),
    ("GBM_3", 0.923935),
    ("DRF_1", 0.922535),
    ("GBM_4", 0.921954),
    ("XGBoost_1", 0.919142),
    ("GBM_1", 0.844467),
    ("GLM_1", 0.415087),
]
