"""The truth: rows, states, queries and migrations. Sessions are passed in, queries flush, the caller commits."""
