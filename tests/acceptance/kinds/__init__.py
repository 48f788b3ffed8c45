"""Kinds that tell a file outside what they do, so that what really ran can be compared with what was recorded."""
