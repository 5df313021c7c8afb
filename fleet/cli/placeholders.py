"""How a command's help shows values: `DIR`, `NUMBER`, `once|always`, and nothing for an option that takes no value.

Typer itself shows Python's types: `<str>`, `<list[Path]>`, and `<bool>` for an option without a value.
"""

import re
from typing import Any, Final, cast

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

_TYPE: Final = re.compile(r"<(?:list\[)?(.*?)\]?(?: range)?>")
_PLACEHOLDERS: Final = {"bool": "", "str": "TEXT", "int": "NUMBER", "float": "NUMBER", "path": "FILE", "Path": "FILE"}
_REQUIRED: Final = re.compile(r"\{(.*)\}")


class _Placeholders:
    """Gives the parameters of a command their placeholders, where they have none of their own."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, --help included."""
        found = cast("list[Any]", super().get_params(ctx))  # type: ignore[misc]  # a mixin before a command of Typer
        for each in found:
            _describe(each, ctx)
        return found


class PlainCommand(_Placeholders, TyperCommand):
    """A command whose help shows placeholders."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the pieces of the usage line; a required argument has no brackets there."""
        return [_REQUIRED.sub(r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


class PlainGroup(_Placeholders, TyperGroup):
    """A group of commands whose help shows placeholders."""


def _describe(parameter: TyperArgument | TyperOption, ctx: Any) -> None:
    shown = _TYPE.sub(r"\1", parameter.display_type(ctx))
    if isinstance(parameter, TyperArgument):
        name = (parameter.name or "").upper() if shown in _PLACEHOLDERS else shown
        # Its placeholder is its name, so there is nothing to show beside it.
        parameter.display_type_rich = lambda ctx: ""  # type: ignore[method-assign]  # noqa: ARG005 - Typer has no setting
    else:
        name = _PLACEHOLDERS.get(shown, shown)
    if parameter.metavar is None:
        parameter.metavar = name
