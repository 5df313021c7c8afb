"""Requests as OpenCode sends them, small."""

import json
from typing import Any

from fleet.rehearsal.request import ChatRequest, read_request

SYSTEM = "You are a coding agent.\n<env>\n  Working directory: /repo/tree\n  Platform: linux\n</env>"
TOOLS = {
    "write": ("filePath", "content"),
    "edit": ("filePath", "oldString", "newString"),
    "read": ("filePath",),
    "bash": ("command", "timeout"),
    "todowrite": ("todos",),
    "question": ("questions",),
    "task": ("description", "prompt", "subagent_type"),
}
ROUND: list[dict[str, Any]] = [
    {"role": "assistant", "content": None, "tool_calls": []},
    {"role": "tool", "content": "ok", "tool_call_id": "c"},
]


def body(prompt: str, rounds: int = 0, *, tools: bool = True, system: str = SYSTEM, **more: Any) -> dict[str, Any]:
    """Return a request's body that is `rounds` tool rounds into the work on a prompt."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt}, *ROUND * rounds]
    offers = [
        {"type": "function", "function": {"name": name, "parameters": {"properties": dict.fromkeys(keys, "any")}}}
        for name, keys in TOOLS.items()
    ]
    return {"model": "rehearsal", "messages": messages, **({"tools": offers} if tools else {}), **more}


def chat(prompt: str, rounds: int = 0, **more: Any) -> ChatRequest:
    """Return the same, decoded."""
    return read_request(json.dumps(body(prompt, rounds, **more)).encode())
