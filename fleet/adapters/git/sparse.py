"""Copies the sparse cone of the source's checkout to a clone. For a worktree, git does so itself."""

from pathlib import Path

import trio

from fleet.adapters.git.command import attempt, run
from fleet.adapters.git.files import read_file
from fleet.errors import Problem


async def carry_cone(own: str, making: str) -> None:
    """Copy the sparse patterns of the checkout with the git directory `own` to a clone without files."""
    if not await _is_set(own, "core.sparseCheckout"):
        return
    patterns = Path(own, "info", "sparse-checkout")
    if not await trio.to_thread.run_sync(_copied, patterns, Path(making, ".git", "info", "sparse-checkout")):
        return
    cone = "true" if await _is_set(own, "core.sparseCheckoutCone") else "false"
    await run("config", "core.sparseCheckout", "true", directory=making)
    await run("config", "core.sparseCheckoutCone", cone, directory=making)


async def _is_set(own: str, key: str) -> bool:
    found = await attempt("config", "--type=bool", "--get", key, directory=own, repository=own)
    return found.says_yes() and found.line == "true"


def _copied(patterns: Path, to: Path) -> bool:
    try:
        to.parent.mkdir(exist_ok=True)
        to.write_bytes(read_file(patterns))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Problem("git_failed", f"Fleet cannot copy {str(patterns)!r}: {error.strerror}") from None
    return True
