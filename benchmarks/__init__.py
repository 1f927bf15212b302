"""AttrAI side by side with what users would pick instead: `make bench`, or python -m benchmarks."""

import os

# One thread a worker, as under uWSGI; what computes reads these when it is first imported.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
