"""The workshop: from rated photos to a folder of `models/`. Uses `pipeline/`, never the reverse."""

import pipeline as pipeline  # before ONNX Runtime: see there
