"""The WSGI entry: `app` is what uWSGI serves."""

from service.rejections import listen

# First: the imports below take a second, in which nobody else may be there to count.
rejections = listen()

from service.application import create_app  # noqa: E402

__all__ = ["app", "create_app"]

app = create_app(rejections=rejections)
