"""Encodes a response for the wire: server-sent chunks, or one completion object, and errors, in OpenAI's formats.

Pure. `created` and ids come from the request's digest, so the same request has the same bytes. Pacing is app.py's.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from fleet.rehearsal.reply import Pause, Piece, RehearsalReply, ReplyFailure, ToolCall, Usage
from fleet.rehearsal.request import MODEL, ChatRequest

_EPOCH_S = 1_700_000_000
_FIELDS = {"say": "content", "think": "reasoning_content"}
_DONE = b"data: [DONE]\n\n"
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


def frames(reply: RehearsalReply, request: ChatRequest) -> Iterator[Pause | bytes]:
    """Yield the stream: server-sent events as bytes, and the pauses between them."""
    yield _chunk(request, {"role": "assistant", "content": ""})
    calls = 0
    for act in reply.acts:
        match act:
            case Pause():
                yield act
            case Piece(channel, text):
                yield _chunk(request, {_FIELDS[channel]: text})
            case ToolCall():
                yield _chunk(request, {"tool_calls": [{"index": calls, **_call(act)}]})
                calls += 1
    if reply.finish is None:
        return
    yield _chunk(request, {}, reply.finish)
    if request.stream_options is not None and request.stream_options.include_usage:
        yield _event({**_head(request, "chat.completion.chunk"), "choices": [], "usage": _usage(reply.usage)})
    yield _DONE


def completion(reply: RehearsalReply, request: ChatRequest) -> dict[str, Any]:
    """Return the reply as one object, for callers that do not stream; a cut one has the finish reason None."""
    message: dict[str, Any] = {"role": "assistant", "content": _text(reply, "say")}
    if reasoning := _text(reply, "think"):
        message["reasoning_content"] = reasoning
    if calls := [_call(act) for act in reply.acts if isinstance(act, ToolCall)]:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
    return {**_head(request, "chat.completion"), "choices": [choice], "usage": _usage(reply.usage)}


def error(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """Return OpenAI's error object."""
    kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def failure(failed: ReplyFailure) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the body and the extra headers of a scripted error."""
    headers = {} if failed.retry_after_s is None else {"Retry-After": str(failed.retry_after_s)}
    return error(failed.status, failed.message, failed.code), headers


def models() -> dict[str, Any]:
    """Return the list of models that `GET /v1/models` answers with."""
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": _EPOCH_S, "owned_by": "fleet"}]}


def _head(request: ChatRequest, kind: str) -> dict[str, Any]:
    created = _EPOCH_S + int(request.digest[:6], 16)
    return {"id": f"chatcmpl-{request.digest[:24]}", "object": kind, "created": created, "model": request.model}


def _chunk(request: ChatRequest, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _event({**_head(request, "chat.completion.chunk"), "choices": [choice]})


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _text(reply: RehearsalReply, channel: str) -> str:
    return "".join(act.text for act in reply.acts if isinstance(act, Piece) and act.channel == channel)


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
