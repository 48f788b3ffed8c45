"""Looking after the server: what is wrong with it, or may soon be, and what to do. Findings name no path, host or
secret."""
