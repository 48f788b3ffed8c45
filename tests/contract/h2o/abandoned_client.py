"""Starts a training and writes its checkpoint to a file once it runs; a test kills it then.

``python -m tests.contract.h2o.abandoned_client CLUSTER_FILE CSV SPEC CHECKPOINT_FILE``
"""

import json
import sys
import tempfile
from pathlib import Path

from tasks.contracts import Document
from tasks.kinds.train_automl import TrainAutoML, run
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl import create


def main() -> None:
    cluster_file, table, spec, kept = sys.argv[1:]

    def keep(document: Document) -> None:
        if document["phase"] == "training":
            partial = Path(kept + ".part")
            partial.write_text(json.dumps(document))
            partial.replace(kept)

    with tempfile.TemporaryDirectory() as directory:
        job = FakeJobContext(Path(directory), {"circle": Path(table)}, job_id="ab" * 16)
        job.on_checkpoint = keep
        run.run(TrainAutoML.model_validate_json(spec), job, create({"cluster_file": cluster_file}))


if __name__ == "__main__":
    main()
