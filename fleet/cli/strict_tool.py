"""A tool of `fleet mcp` that refuses unknown arguments, and says in plain sentences what is wrong.

The SDK ignores unknown arguments: an agent that mistypes one would get a different result without an error.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from pydantic import ValidationError


class StrictTool(Tool):
    """A tool whose schema allows no other properties."""

    @classmethod
    def of(cls, function: Callable[..., Awaitable[Any]]) -> Tool:
        """Return the function as a tool; its docstring is the description."""
        tool = cls.from_function(function)
        tool.parameters["additionalProperties"] = False
        return tool

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Run it. Raises `ToolError` with a sentence for the agent."""
        known = list(self.parameters["properties"])
        unknown = [name for name in arguments if name not in known]
        if unknown:
            raise ToolError(f"{self.name} has no argument {', '.join(unknown)}; its arguments are {', '.join(known)}.")
        try:
            return await super().run(arguments, context, convert_result)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(" ".join(_sentences(self.name, error.__cause__))) from error
            raise


def _sentences(tool: str, wrong: ValidationError) -> list[str]:
    """Return what is wrong, without the address of pydantic's manual."""
    found: list[str] = []
    for error in wrong.errors(include_url=False):
        name = ".".join(map(str, error["loc"]))
        missing = error["type"] == "missing"
        found.append(f"{tool} needs {name}." if missing else f"{name} is wrong: {error['msg']}.")
    return found
