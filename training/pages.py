"""A report as one HTML page that holds all its pictures and loads nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
from jinja2 import Environment
from matplotlib import rc_context
from matplotlib.figure import Figure

from pipeline.types import Pixels

_TEMPLATE = Environment(autoescape=True).from_string("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
         color: #1b1f24; background: #fff }
  h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5rem } h3 { margin-top: 1.75rem }
  table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
  th, td { padding: .25rem .75rem; border-bottom: 1px solid #d0d7de; text-align: right }
  th:first-child, td:first-child { text-align: left }
  figure { margin: 1rem 0 } figure img { max-width: 100% } figcaption { color: #57606a }
  .faces { display: flex; flex-wrap: wrap; gap: 1rem } .faces figure { width: 9rem; margin: 0 }
  .faces img { width: 100%; border-radius: 4px } .faces figcaption { font-size: .8rem }
  .table { overflow-x: auto }
</style>
<h1>{{ title }}</h1>
{% for kind, value in parts %}
{% if kind == "heading" %}<h2>{{ value }}</h2>
{% elif kind == "subheading" %}<h3>{{ value }}</h3>
{% elif kind == "paragraph" %}<p>{{ value }}</p>
{% elif kind == "list" %}<ul>{% for item in value %}<li>{{ item }}</li>{% endfor %}</ul>
{% elif kind == "table" %}<div class="table"><table>
<tr>{% for name in value[0] %}<th scope="col">{{ name }}</th>{% endfor %}</tr>
{% for row in value[1] %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table></div>
{% elif kind == "figure" %}<figure><img alt="{{ value[1] }}" src="{{ value[0] }}">\
<figcaption>{{ value[1] }}</figcaption></figure>
{% elif kind == "faces" %}<div class="faces">{% for source, caption in value %}\
<figure><img alt="" src="{{ source }}"><figcaption>{{ caption }}</figcaption></figure>{% endfor %}\
</div>
{% endif %}{% endfor %}
</html>
""")


class Page:
    """A page that grows from top to bottom. All text is escaped."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[tuple[str, Any]] = []

    def heading(self, text: str) -> None:
        """Start a section."""
        self._parts.append(("heading", text))

    def subheading(self, text: str) -> None:
        """Start a part of a section."""
        self._parts.append(("subheading", text))

    def paragraph(self, text: str) -> None:
        """Say something."""
        self._parts.append(("paragraph", text))

    def bullets(self, items: Iterable[str]) -> None:
        """Say several things, one below the other."""
        self._parts.append(("list", list(items)))

    def table(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Rows that share the names of the first one's columns; numbers come out as given."""
        names = list(rows[0]) if rows else []
        self._parts.append(
            ("table", (names, [[row.get(name, "") for name in names] for row in rows]))
        )

    def figure(self, figure: Figure, caption: str) -> None:
        """A plot of matplotlib's, as SVG."""
        file = io.BytesIO()
        # Without a date or random names, so that the same figures give the same page.
        with rc_context({"svg.hashsalt": "attrai"}):
            figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
        self._parts.append(("figure", (_embedded("svg+xml", file.getvalue()), caption)))

    def faces(self, pictures: Iterable[tuple[Pixels, str]]) -> None:
        """Crops, RGB uint8 (h, w, 3), in a row, each with its caption."""
        self._parts.append(("faces", [(_jpeg(crop), caption) for crop, caption in pictures]))

    def html(self) -> str:
        """The whole page."""
        return _TEMPLATE.render(title=self.title, parts=self._parts)

    def write(self, path: Path) -> None:
        """Write the page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html(), encoding="utf-8")


def _jpeg(crop: Pixels) -> str:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
    return _embedded("jpeg", data.tobytes())


def _embedded(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
