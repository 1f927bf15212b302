"""The usual stack in FastAPI, for uvicorn: one thread computes, the loop stays free."""

from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, UploadFile

from benchmarks.usual_stack import UsualStack

app = FastAPI()
stack = UsualStack()
one_at_a_time = CapacityLimiter(1)


@app.post("/predict")
async def predict(image: UploadFile) -> dict[str, Any]:
    """Rate the photo of the form."""
    return await to_thread.run_sync(stack.predict, await image.read(), limiter=one_at_a_time)
