"""The WSGI entry: `app` is what uWSGI serves."""

import gc

from service.rejections import listen

# First: the imports below take half a second, in which nobody else may be there to count.
rejections = listen()
# What they make stays. To look for garbage among it takes a sixth of a worker's start.
gc.disable()

from service.application import create_app  # noqa: E402

__all__ = ["app", "create_app"]

app = create_app(rejections=rejections)
gc.freeze()
gc.enable()
