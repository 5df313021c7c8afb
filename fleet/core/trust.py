"""The trust aggregate: which content of `.fleet.toml` a person has allowed to run, in which repository.

One aggregate with the id `fleet`. A permission covers one digest in one repository (the path of its common git
directory); another content, or the same content in another repository, is not allowed.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from fleet.core.decider import Decider
from fleet.core.messages import Command, Event
from fleet.errors import Rejected
from fleet.limits import TRUSTED_MAX
from fleet.ports import Recipe

TRUST_ID: Final = "fleet"


class AllowRecipe(Command, frozen=True, kw_only=True):
    """Let the commands of this content run in the repository; `actor` is the caller."""

    repository: str
    recipe: Recipe
    actor: str | None = None


class RevokeTrust(Command, frozen=True, kw_only=True):
    """Revoke the permission for all contents in the repository, or for the one with this digest."""

    repository: str
    digest: str | None


TrustCommand = AllowRecipe | RevokeTrust


class RecipeAllowed(Event, frozen=True, kw_only=True):
    """A person has allowed this content in this repository."""

    repository: str
    recipe: Recipe
    actor: str | None = None


class TrustRevoked(Event, frozen=True, kw_only=True):
    """A person has revoked the permission for this content in this repository."""

    repository: str
    digest: str


TrustEvent = RecipeAllowed | TrustRevoked


class State(msgspec.Struct, frozen=True):
    """The allowed contents, oldest first."""

    id: str
    allowed: tuple[RecipeAllowed, ...] = ()

    def allows(self, repository: str | None, digest: str) -> bool:
        """Return whether this content may run in this repository."""
        return any((each.repository, each.recipe.digest) == (repository, digest) for each in self.allowed)


def initial(trust_id: str) -> State:
    """Return the state in which nothing is allowed."""
    return State(trust_id)


def decide(command: TrustCommand, state: State) -> tuple[TrustEvent, ...]:
    """Return the events that `command` causes. Raises `Rejected` trust_full, trust_not_found, setup_invalid."""
    match command:
        case AllowRecipe(repository=repository, recipe=recipe, at_ms=at_ms, actor=actor):
            if recipe.problem:
                raise Rejected("setup_invalid", recipe.problem, hint="Correct the file.")
            if state.allows(repository, recipe.digest):
                return ()
            if len(state.allowed) >= TRUSTED_MAX:
                raise Rejected("trust_full", f"{TRUSTED_MAX} set-ups are allowed already", hint="Revoke some of them.")
            return (RecipeAllowed(repository=repository, recipe=recipe, at_ms=at_ms, actor=actor),)
        case RevokeTrust(repository=repository, digest=digest, at_ms=at_ms):
            found = [
                each.recipe.digest
                for each in state.allowed
                if each.repository == repository and digest in (None, each.recipe.digest)
            ]
            if not found:
                raise Rejected("trust_not_found", f"no such set-up is allowed in {repository!r}")
            return tuple(TrustRevoked(repository=repository, digest=each, at_ms=at_ms) for each in found)


def evolve(state: State, event: TrustEvent) -> State:
    """Return the state after `event`."""
    match event:
        case RecipeAllowed():
            return replace(state, allowed=(*state.allowed, event))
        case TrustRevoked(repository=repository, digest=digest):
            kept = (each for each in state.allowed if (each.repository, each.recipe.digest) != (repository, digest))
            return replace(state, allowed=tuple(kept))


def _none(*_: object) -> tuple[()]:
    """Order no effect."""
    return ()


TRUST: Final[Decider[TrustCommand, State, TrustEvent, object]] = Decider("trust", initial, decide, evolve, _none, _none)
