"""``python -P -m db upgrade | downgrade REVISION | revision MESSAGE | check``."""

import sys

from db.engine import Database
from db.schema import downgrade, drift, new_revision, upgrade
from db.settings import DatabaseSettings


def main(arguments: list[str]) -> int:
    database = Database(DatabaseSettings().url, durable=True)
    match arguments:
        case ["upgrade"]:
            upgrade(database)
        case ["downgrade", revision]:
            downgrade(database, revision)
        case ["revision", message]:
            new_revision(database, message)
        case ["check"]:
            differences = drift(database)
            for difference in differences:
                print(difference)
            return 1 if differences else 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
