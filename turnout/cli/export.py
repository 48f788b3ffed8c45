"""``turnout export``: jobs for other programs."""

import click

from turnout.cli.options import known_id
from turnout.cli.session import Session, json_option, pass_session, print_json
from turnout.cli.several import each
from turnout.mlflow_export import DEFAULT_EXPERIMENT


@click.group()
def export() -> None:
    """Hand jobs over to other programs."""


@export.command("mlflow", short_help="Write jobs as runs of MLflow.")
@click.argument("job_ids", nargs=-1, required=True, type=known_id)
@click.option("--tracking-uri", metavar="URI", help="Where MLflow keeps runs; else MLFLOW_TRACKING_URI.")
@click.option("--experiment", metavar="NAME", default=DEFAULT_EXPERIMENT, show_default=True, help="Made if need be.")
@json_option
@pass_session
def to_mlflow(
    session: Session, job_ids: tuple[str, ...], tracking_uri: str | None, experiment: str, as_json: bool
) -> None:
    """Write jobs as runs of MLflow; prints the id of each run. Exporting again completes the same run."""

    def write(job_id: str) -> str:
        run_id = session.client.job(job_id).export_to_mlflow(tracking_uri, experiment)
        if not as_json:
            click.echo(run_id)
        return run_id

    written, code = each(job_ids, write)
    if as_json:
        print_json(written)
    click.get_current_context().exit(code)
