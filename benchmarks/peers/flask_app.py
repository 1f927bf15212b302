"""The usual stack in Flask, for uWSGI: each worker loads it once."""

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from benchmarks.usual_stack import UsualStack

app = Flask(__name__)
stack = UsualStack()


@app.post("/predict")
def predict() -> ResponseReturnValue:
    """Rate the photo of the form."""
    return jsonify(stack.predict(request.files["image"].read()))
