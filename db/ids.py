"""Identifiers that sort by the time they were made."""

import uuid_utils


def new_id() -> str:
    """A UUIDv7 (RFC 9562) as text."""
    return str(uuid_utils.uuid7())
