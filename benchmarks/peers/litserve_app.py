"""The usual stack in LitServe: python -m benchmarks.peers.litserve_app PORT WORKERS."""

import sys
from typing import Any

import litserve
from fastapi import Request

from benchmarks.usual_stack import UsualStack


class FaceRater(litserve.LitAPI):
    """Decode, predict, encode; one photo at a time, for photos differ in size."""

    def setup(self, device: str) -> None:
        """Load the models, once a worker."""
        self.stack = UsualStack()

    def decode_request(self, request: Request) -> bytes:
        """The photo of the form."""
        return bytes(request["image"].file.read())

    def predict(self, data: bytes) -> dict[str, Any]:
        """Rate it."""
        return self.stack.predict(data)

    def encode_response(self, answer: dict[str, Any]) -> dict[str, Any]:
        """As it is."""
        return answer


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    server = litserve.LitServer(
        FaceRater(), accelerator="cpu", workers_per_device=workers, timeout=False
    )
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")
