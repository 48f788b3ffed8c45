"""The example as people write it without a queue: a script with a cluster of its own, from init to leaderboard.

``python example_script.py circle.csv PORT``; prints the leaderboard. It is the baseline of ``bench/automl.py``.
"""

import sys

import h2o
from h2o.automl import H2OAutoML


def main() -> None:
    path, port = sys.argv[1], int(sys.argv[2])
    h2o.init(port=port, verbose=False)
    h2o.no_progress()
    table = h2o.import_file(path)
    table["y"] = table["y"].asfactor()
    train, valid, _test = table.split_frame([0.6, 0.2], seed=133)
    automl = H2OAutoML(max_models=10, max_runtime_secs=100, seed=2)
    automl.train(x=["x1", "x2"], y="y", training_frame=train, validation_frame=valid)
    print(automl.leaderboard.as_data_frame(use_multi_thread=False).to_csv(index=False))
    h2o.cluster().shutdown()


if __name__ == "__main__":
    main()
