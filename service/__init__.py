"""HTTP in, HTTP out: requests, answers, problems. Knows nothing of tensors."""
