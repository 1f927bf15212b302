"""A process to try damaged photos in, so that what kills it is seen, and named, from outside.

Reads a line of JSON for each trial, {"mutant": 7}, {"bomb": "..."} or {"file": "..."}, with
"service": true for a whole POST /predict; writes one for each outcome. A trial that computes for
more than half a minute is the end of it.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from pipeline.errors import PhotoError
from pipeline.photo import read_photo
from pipeline.settings import PhotoSettings
from tests.hostile.bombs import COSTLY, POLYGLOTS
from tests.hostile.fuzzer import mutant

SETTINGS = PhotoSettings()


def _data(trial: dict[str, Any]) -> bytes:
    if "mutant" in trial:
        return mutant(trial["mutant"]).data
    if "file" in trial:
        return Path(trial["file"]).read_bytes()
    return (COSTLY | POLYGLOTS)[trial["bomb"]]()


def _memory(name: str) -> int:
    """A figure of this process's memory, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _decode(data: bytes) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            pixels = read_photo(data, SETTINGS).pixels
        except PhotoError as error:
            return {"outcome": type(error).__name__, "detail": str(error)}
        finally:
            if caught:
                sys.stderr.write(f"{caught}\n")
    sound = pixels.dtype == "uint8" and pixels.shape[2:] == (3,)
    sound = sound and max(pixels.shape) <= SETTINGS.working_side
    return {"outcome": "photo" if sound and not caught else f"{pixels.shape} {caught}"}


class _Service:
    """POST /predict with the models of this repository, its client in this process."""

    def __init__(self) -> None:
        from service.application import create_app

        self._client = create_app().test_client()

    def post(self, data: bytes, answer: str) -> dict[str, Any]:
        types = {"content_type": "image/jpeg", "headers": {"Accept": answer}}
        response = self._client.post("/predict", data=data, **types)
        found: dict[str, Any] = {"outcome": response.status_code, "type": response.mimetype}
        if response.mimetype == "application/json":
            found["faces"] = len(json.loads(response.text)["faces"])
        return found


def main() -> None:
    """Try what comes on stdin until it ends."""
    out = sys.stdout
    sys.stdout = sys.stderr  # the service logs there
    service: _Service | None = None
    for line in sys.stdin:
        trial = json.loads(line)
        if trial.get("service") and service is None:
            service = _Service()
        data = _data(trial)
        signal.setitimer(signal.ITIMER_PROF, 30)
        wall, start = time.perf_counter(), time.process_time()
        if service is not None and trial.get("service"):
            found = service.post(data, trial.get("accept", "application/json"))
        else:
            found = _decode(data)
        found |= {
            "cpu": time.process_time() - start,
            "wall": time.perf_counter() - wall,
            "bytes": len(data),
            "peak": _memory("VmHWM"),
            "resident": _memory("VmRSS"),
        }
        print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
