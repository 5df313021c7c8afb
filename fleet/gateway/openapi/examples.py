"""Makes the example responses in openapi.json from schemas and the names of members."""

from typing import Any, Final, cast

_SESSION: Final = "0198c0de-4d1a-7c3e-9f00-5d2b7a1e4c11"
_DIRECTORY: Final = "/home/dev/my-project"
_NAMED: Final[dict[str, Any]] = {
    "id": _SESSION,
    "sessionId": _SESSION,
    "parentId": None,
    "instanceId": "0198c0de-4d1b-7a52-8c11-0f6e2b9d3a44",
    "workspaceId": "0198c0de-4d1c-7d90-b2f3-6a8c1e5f7b22",
    "opencodeId": "ses_7f2c91d4effeXk2mQ8vR4tYw1Z",
    "title": "Add error handling",
    "status": "idle",
    "evidence": "OpenCode says that it is idle",
    "directory": _DIRECTORY,
    "sourceDirectory": _DIRECTORY,
    "path": _DIRECTORY,
    "parent": "/home/dev",
    "branch": "fleet/add-error-handling-5d2b7a1e",
    "isolationStrategy": "worktree",
    "file": "src/login.py",
    "name": "my-project",
    "kind": "finished",
    "type": "session.created",
    "stream": f"session-{_SESSION}",
    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "version": "1.18.33",
    "actor": "local",
    "text": "Add error handling to the login endpoint",
    "pid": 4711,
    "position": 42,
    "intact": True,
}
_TIMES: Final = ("At", "Since")
_DEPTH_MAX: Final = 8


def example_of(schema: dict[str, Any], components: dict[str, Any], name: str = "", depth: int = 0) -> Any:
    """Return a value that the schema allows; `name` is that of the member that holds it."""
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components, name, depth + 1)
    kinds = schema.get("anyOf")
    if kinds is not None:
        wanted = _NAMED.get(name)
        if depth > _DEPTH_MAX or (name in _NAMED and any(_fits(wanted, kind) for kind in kinds)):
            return wanted
        return example_of(kinds[0], components, name, depth)
    if schema.get("enum"):
        wanted = _NAMED.get(name)
        return wanted if wanted in schema["enum"] else schema["enum"][0]
    return _of_type(schema, components, name, depth)


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    kinds = {"boolean": bool, "string": str, "null": type(None)}
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    fits = is_whole if schema.get("type") == "integer" else isinstance(value, kinds.get(schema.get("type", ""), ()))
    return fits and value in schema.get("enum", (value,))


def _of_type(schema: dict[str, Any], components: dict[str, Any], name: str, depth: int) -> Any:
    match schema.get("type"):
        case "object":
            members = cast("dict[str, Any]", schema.get("properties", {}))
            return {member: example_of(of, components, member, depth + 1) for member, of in members.items()}
        case "array":
            items = schema.get("items", {})
            return [example_of(items, components, name.removesuffix("s"), depth + 1)] if items else []
        case "string":
            wanted = _NAMED.get(name)
            if isinstance(wanted, str):
                return wanted
            return "2026-01-31T12:00:00.000Z" if name == "at" or name.endswith(_TIMES) else name
        case "integer" | "number":
            wanted = _NAMED.get(name)
            return wanted if isinstance(wanted, int) else schema.get("minimum", 1)
        case "boolean":
            return bool(_NAMED.get(name))
        case "null":
            return None
        case _:
            return {}
