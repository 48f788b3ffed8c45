"""Makes ``tasks/h2o/parameters.json`` from what a cluster says of its own algorithms.

``python -P -m tests.contract.h2o.builder_table`` starts a cluster and writes the file anew.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from tasks.h2o.algorithms import ALGORITHMS
from tasks.h2o.left_out import is_offered, offered_values
from tests.contract.h2o.keeper_process import REPOSITORY, KeeperProcess, free_port_pair
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.connection import KeptCluster

TABLE = REPOSITORY / "tasks" / "h2o" / "parameters.json"


def table_of(client: H2OClient) -> dict[str, Any]:
    """Type, default, values and meaning of each parameter that is offered, by algorithm."""
    return {
        algo: {
            field["name"]: _row(algo, field)
            for field in client.get(f"/3/ModelBuilders/{builder}")["model_builders"][builder]["parameters"]
            if is_offered(algo, field["name"])
        }
        for algo, builder in ALGORITHMS.items()
    }


def as_text(table: dict[str, Any]) -> str:
    """One line for each parameter, so that a difference shows what differs."""
    algorithms = [
        f'"{algo}": {{\n' + ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()) + "\n}"
        for algo, rows in table.items()
    ]
    return "{\n" + ",\n".join(algorithms) + "\n}\n"


def _row(algo: str, field: dict[str, Any]) -> dict[str, Any]:
    row = {
        "type": field["type"],
        "default": field["default_value"],
        "help": " ".join(field["help"].split()),
        "grid": field["gridable"],
    }
    return {**row, "values": offered_values(algo, field["name"], field["values"])} if field["values"] else row


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        keeper = KeeperProcess(Path(directory), free_port_pair())
        try:
            keeper.await_cluster()
            client = H2OClient(KeptCluster(keeper.cluster_file), lambda: None)
            TABLE.write_text(as_text(table_of(client)))
            client.close()
        finally:
            keeper.stop()


if __name__ == "__main__":
    main()
