"""The kinds of job that the stream consists of."""
