"""One code location per domain, one line each."""
