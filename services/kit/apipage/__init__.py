"""The pages that tell people and programs what a service offers.

``/openapi.json`` is worked out of the contract; ``/docs`` shows it in a browser with RapiDoc, which
lies beside this file (see LICENSE-rapidoc.txt) so that no request leaves the mesh.
"""

from __future__ import annotations

import html
from importlib.resources import files
from typing import Any

import msgspec

from ..pages import Page
from ..server import Site


def add_api_pages(site: Site, document: dict[str, Any]) -> None:
    """Serve ``/openapi.json`` and ``/docs``.

    Args:
        site: where.
        document: the service's OpenAPI document.
    """
    folder = files(__package__)
    title = html.escape(str(document["info"]["title"]))
    page = folder.joinpath("page.html").read_text(encoding="utf-8").replace("@TITLE@", title)
    spec = msgspec.json.encode(document)

    def script() -> bytes:
        # Read when it is asked for: few replicas ever are, and it is most of a megabyte.
        return folder.joinpath("rapidoc-min.js").read_bytes()

    text = "text/html; charset=utf-8"
    site.add("GET", "/openapi.json", Page("openapi", "application/json", lambda: spec))
    site.add("GET", "/docs", Page("docs", text, page.encode))
    site.add(
        "GET", "/docs/rapidoc-min.js", Page("docs.script", "text/javascript; charset=utf-8", script)
    )
