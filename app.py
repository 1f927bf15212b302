"""The WSGI entry: `app` is what uWSGI serves."""

from service.application import create_app

__all__ = ["app", "create_app"]

app = create_app()
