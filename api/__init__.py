"""The submission API: accepts jobs and files, and tells what became of them."""
