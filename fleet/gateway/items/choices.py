"""The items of choices: directories, branches, and OpenCode's agents, commands and models."""

from fleet.actors.effects.known_offers import Offered
from fleet.core.times import rfc3339
from fleet.ports import Agent, Branch, Folder, OfferedModel, SlashCommand
from fleet.wire.bodies import PageQuery
from fleet.wire.choices import AgentItem, CommandItem, FolderEntryItem, FolderItem, ModelItem, OfferItem
from fleet.wire.items import BranchItem


def folder_item(folder: Folder, query: PageQuery) -> FolderItem:
    """Return a page of what the API shows of a directory."""
    page = folder.entries[query.offset : query.offset + query.limit]
    entries = [FolderEntryItem(name=entry.name, path=entry.path, is_git_repo=entry.is_git_repo) for entry in page]
    return FolderItem(
        path=folder.path,
        parent=folder.parent,
        is_git_repo=folder.is_git_repo,
        entries=entries,
        total=len(folder.entries),
        is_truncated=folder.is_truncated,
    )


def branch_item(branch: Branch) -> BranchItem:
    """Return what the API shows of a branch."""
    committed = rfc3339(branch.committed_ms)
    return BranchItem(
        name=branch.name,
        kind=branch.kind,
        current=branch.current,
        checked_out_at=branch.checked_out_at,
        committed_at=committed,
        commit=branch.commit,
    )


def offer_item(offered: Offered | None) -> OfferItem:
    """Return what the API shows of what can be chosen, nothing where nothing is known."""
    if offered is None:
        return OfferItem(as_of=None, instance_id=None, agents=[], commands=[], models=[])
    return OfferItem(
        as_of=rfc3339(offered.as_of_ms),
        instance_id=offered.instance_id,
        agents=list(map(agent_item, offered.agents)),
        commands=list(map(command_item, offered.commands)),
        models=list(map(model_item, offered.models)),
    )


def agent_item(agent: Agent) -> AgentItem:
    """Return what the API shows of an agent."""
    return AgentItem(name=agent.name, description=agent.description, mode=agent.mode, native=agent.native)


def command_item(command: SlashCommand) -> CommandItem:
    """Return what the API shows of a command."""
    return CommandItem(name=command.name, description=command.description, agent=command.agent, source=command.source)


def model_item(model: OfferedModel) -> ModelItem:
    """Return what the API shows of a model."""
    return ModelItem(
        provider_id=model.provider_id,
        provider_name=model.provider_name,
        model_id=model.model_id,
        name=model.name,
        is_default=model.is_default,
        context_tokens=model.context_tokens,
        output_tokens=model.output_tokens,
    )
