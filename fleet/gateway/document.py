"""What openapi.json says of a route: quart-schema's decorators, with types of our own.

quart-schema names optional libraries in its types, which leaves them partly unknown to a strict checker.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import quart_schema

Route = TypeVar("Route", bound=Callable[..., Any])


def takes(body: type[Any]) -> Callable[[Route], Route]:
    """Document the JSON body."""
    return quart_schema.document_request(body)


def asks(query: type[Any]) -> Callable[[Route], Route]:
    """Document the query parameters."""
    return quart_schema.document_querystring(query)


def gives(body: Any, status: int = 200) -> Callable[[Route], Route]:
    """Document the answer."""
    return quart_schema.document_response(body, status)


def about(*tags: str) -> Callable[[Route], Route]:
    """Put the route under these headings."""
    return quart_schema.tag(tags)
