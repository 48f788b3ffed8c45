"""Tables as files: how they are read, what is in them, and what can be wrong with them."""
