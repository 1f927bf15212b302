"""The usual stack in Mosec: python -m benchmarks.peers.mosec_app --port …, BENCHMARK_WORKERS."""

import os
from typing import Any

import mosec

from benchmarks.usual_stack import UsualStack


class FaceRater(mosec.Worker):
    """Gets the body as it came; Mosec makes JSON of what it returns."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = UsualStack()

    def deserialize(self, data: bytes) -> bytes:
        """The body is the photo."""
        return data

    def forward(self, data: bytes) -> dict[str, Any]:
        """Rate it."""
        return self.stack.predict(data)


if __name__ == "__main__":
    server = mosec.Server()
    workers = int(os.environ["BENCHMARK_WORKERS"])
    server.append_worker(FaceRater, num=workers, timeout=60, route="/predict")
    server.run()
