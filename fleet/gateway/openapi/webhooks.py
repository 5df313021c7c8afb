"""The webhook messages in openapi.json: one request of Fleet for each type (docs/webhooks.md)."""

from typing import Any, Final

import msgspec

from fleet.core.webhook.payloads import MESSAGE_TYPES, TEST, SessionNotice, TestMessage
from fleet.gateway.openapi.examples import example_of

_WHEN: Final = {
    "session.finished": "A turn has finished.",
    "session.aborted": "A turn was aborted.",
    "session.interrupted": "A turn was interrupted.",
    "session.error": "A turn failed, or a session could not be made or resumed.",
    "session.request": "A permission or a question waits for an answer: `data.requestId`.",
    "session.budget": "The budget is used up.",
    "session.delayed": "A turn does not get on: a model, a tool or an MCP server keeps it waiting.",
    "session.callback": "The parent cannot take word of an outcome.",
    "session.disconnected": "The session lost its process.",
    "session.completed": "The session was put to rest.",
    "session.stopped": "The session was ended.",
    TEST: "A person tests whether messages arrive (`POST /api/webhooks/{webhook_id}/test`).",
}
_HEADERS: Final = {
    "webhook-id": ("The message's id: the same each time that it is tried.", "0198c0de-5b1e-7d3a-9c55-2f6f5d1c0a11-7"),
    "webhook-timestamp": ("When it was sent, in seconds since 1970.", "1767225600"),
    "webhook-signature": (
        "`v1,` and the base64 of an HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`.",
        "v1,Jxm1ZQ1t5lmbxVUW2Cs0zT0pzM0cb8fC2tJ0SgQ4pZk=",
    ),
}
_ANSWERS: Final = {
    "2XX": "It was taken.",
    "410": "The receiver is gone: the webhook is disabled at once.",
    "default": "It is tried again, but for a test.",
}


def outgoing() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the webhooks, and the schemas that they name."""
    _, components = msgspec.json.schema_components(
        [SessionNotice, TestMessage], ref_template="#/components/schemas/{name}"
    )
    return {kind: {"post": _operation(kind, components)} for kind in (*MESSAGE_TYPES, TEST)}, components


def _operation(kind: str, components: dict[str, Any]) -> dict[str, Any]:
    data = (TestMessage if kind == TEST else SessionNotice).__name__
    reference = {"$ref": f"#/components/schemas/{data}"}
    parts = {"type": {"const": kind}, "timestamp": {"type": "string"}, "data": reference}
    schema = {"type": "object", "required": list(parts), "properties": parts}
    example = {"type": kind, "timestamp": "2026-01-31T12:00:00.000Z", "data": example_of(reference, components)}
    body = {"schema": schema, "example": example}
    return {
        "operationId": f"told_{kind.replace('.', '_')}",
        "tags": ["webhooks"],
        "summary": _WHEN[kind],
        "description": "Fleet sends it to webhooks that ask for it; docs/webhooks.md says how to verify it.",
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": words,
                "schema": {"type": "string"},
                "example": example,
            }
            for name, (words, example) in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {status: {"description": words} for status, words in _ANSWERS.items()},
    }
