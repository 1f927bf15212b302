"""Photo in, rated faces out: decode, detect, score, render. Knows nothing of HTTP."""

import os

# ONNX Runtime's wheels report to their maker unless this is set before they are first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
