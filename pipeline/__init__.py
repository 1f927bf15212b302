"""Photo in, rated faces out: decode, detect, score, render. Knows nothing of HTTP."""
