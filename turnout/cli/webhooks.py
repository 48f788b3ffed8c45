"""Webhooks: how their deliveries went, and what they are signed with."""

import click

from turnout.cli.session import Session, json_option, pass_session, print_json
from turnout.records import WebhookRecord


def told(webhook: WebhookRecord | None) -> str | None:
    """A webhook in a line."""
    if webhook is None:
        return None
    parts = [f"{webhook.url} ({', '.join(webhook.events)})", f"{webhook.delivered} delivered"]
    if webhook.missed:
        parts.append(f"{webhook.missed} given up")
    if webhook.tries and webhook.ended is None:
        parts.append(f"tried {webhook.tries} times")
    if webhook.last_problem:
        parts.append(webhook.last_problem)
    return "; ".join(parts)


@click.command("webhook-secret", short_help="Print what webhooks are signed with.")
@click.option("--replace", is_flag=True, help="Sign with a new one; for a day the old one signs along.")
@json_option
@pass_session
def webhook_secret(session: Session, replace: bool, as_json: bool) -> None:
    """Print the secret that your webhooks are signed with, for those who receive them."""
    secret = session.client.replace_webhook_secret() if replace else session.client.webhook_secret()
    if as_json:
        print_json({"secret": secret})
    else:
        click.echo(secret)
