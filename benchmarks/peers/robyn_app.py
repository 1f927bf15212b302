"""The usual stack in Robyn: python -m benchmarks.peers.robyn_app --processes N, ROBYN_PORT."""

from functools import cache
from typing import Any

from robyn import Request, Robyn

from benchmarks.usual_stack import UsualStack

app = Robyn(__file__)


@cache
def stack() -> UsualStack:
    """Loaded once in each process, by its first photo."""
    return UsualStack()


@app.post("/predict")
def predict(request: Request) -> dict[str, Any]:
    """Rate the photo of the form."""
    (photo,) = request.files.values()
    return stack().predict(bytes(photo))


if __name__ == "__main__":
    app.start(host="127.0.0.1")
