"""Writes and reads the message of a preservation commit, which describes the workspace that it was made from.

Tree and message describe the whole workspace, as `restore` needs it: if both are equal, nothing has changed. So the
message has no time and no id of a commit that Fleet makes for it.
"""

import os
from typing import NamedTuple

from fleet.adapters.git.command import attempt, run
from fleet.adapters.git.repository import kind_of, read_ref
from fleet.errors import Problem

_NONE = "-"


class Saved(NamedTuple):
    """The content of a workspace as a preservation commit records it.

    `tree` is the work tree. `staged` is the tree of the index, None if it equals that of `head`. `refs` are (name,
    object) of its own refs, the stash oldest first; `commits` are others that only it had. `note` is the first commit
    of Fleet's branch.
    """

    tree: str
    head: str | None
    branch: str | None
    note: str | None
    staged: str | None
    refs: tuple[tuple[str, str], ...] = ()
    commits: tuple[str, ...] = ()

    def message(self, workspace_id: str) -> str:
        """Return the message of the preservation commit."""
        lines = [
            f"Work of Fleet's workspace {workspace_id}",
            "",
            f"head {self.head or _NONE}",
            f"branch {self.branch or _NONE}",
            f"note {self.note or _NONE}",
            f"staged {self.staged or _NONE}",
            *(f"ref {target} {name}" for name, target in self.refs),
            *(f"commit {commit}" for commit in self.commits),
        ]
        return "\n".join((*lines, ""))


def kept_ref(workspace_id: str) -> str:
    """Return the ref under which a workspace's work is preserved."""
    return f"refs/fleet/kept/{workspace_id}"


async def load(repository: str, commit: str) -> Saved:
    """Read a preservation commit. Raises `Problem`: workspace_gone if it is missing or not one, else git_failed."""
    found = await attempt("cat-file", "commit", commit, directory=repository, repository=repository)
    if found.code != 0 and await kind_of(repository, commit) is not None:
        raise found.failed()
    header, _, message = found.stdout.partition("\n\n")
    lines = [line.split(" ", 2) for line in message.split("\n")[2:] if line]
    fields = {line[0]: line[1] for line in lines if line[0] in ("head", "branch", "note", "staged") and len(line) > 1}
    if found.code != 0 or len(fields) != 4:
        raise Problem(
            "workspace_gone",
            f"the preserved work of the workspace ({commit[:12]}) is no longer in {repository!r}",
            hint="Restore that commit in the repository, then try again.",
        )
    values = {name: None if value == _NONE else value for name, value in fields.items()}
    return Saved(
        header.partition("\n")[0].removeprefix("tree "),
        values["head"],
        values["branch"],
        values["note"],
        values["staged"],
        tuple((line[2], line[1]) for line in lines if line[0] == "ref"),
        tuple(line[1] for line in lines if line[0] == "commit"),
    )


async def find(repository: str, workspace_id: str) -> tuple[str, Saved] | None:
    """Return the preservation commit of a workspace and its content, None where there is none. Raises `Problem`."""
    commit = await read_ref(repository, kept_ref(workspace_id))
    return None if commit is None else (commit, await load(repository, commit))


async def store(repository: str, workspace_id: str, saved: Saved, parents: list[str]) -> str:
    """Preserve a workspace's content and return the commit, the same for the same content. Raises `Problem`.

    An earlier preservation commit becomes a parent, so that it stays reachable.
    """
    before = await find(repository, workspace_id)
    if before is not None and before[1] == saved:
        return before[0]
    if before is not None:
        parents = [*parents, before[0]]
    message = os.fsencode(saved.message(workspace_id))
    commit = await commit_tree(repository, saved.tree, parents, message)
    old = "" if before is None else before[0]
    await run("update-ref", kept_ref(workspace_id), commit, old, directory=repository, repository=repository)
    return commit


async def commit_tree(repository: str, tree: str, parents: list[str], message: bytes) -> str:
    """Make a commit without a ref. Raises `Problem` git_failed."""
    named = [argument for parent in dict.fromkeys(parents) for argument in ("-p", parent)]
    identity = {"NAME": "Fleet", "EMAIL": "fleet@localhost"}
    return await run(
        "commit-tree",
        *(tree, *named, "-F", "-"),
        directory=repository,
        repository=repository,
        environment={f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in identity.items()},
        stdin=message,
    )
