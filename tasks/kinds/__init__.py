"""One file a kind: its spec, its result, and the function that runs it."""
