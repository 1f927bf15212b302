"""The usual stack in BentoML, with BENCHMARK_WORKERS workers."""

import os
from typing import Any

import bentoml
from PIL.Image import Image

from benchmarks.usual_stack import UsualStack


@bentoml.service(workers=int(os.environ.get("BENCHMARK_WORKERS", "1")), traffic={"timeout": 120})
class FaceRater:
    """One photo at a time in each worker."""

    def __init__(self) -> None:
        self.stack = UsualStack()

    @bentoml.api
    def predict(self, image: Image) -> dict[str, Any]:
        """Rate the photo of the form, which BentoML has opened with PIL."""
        return self.stack.rate(image)
