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
    entries = [FolderEntryItem(entry.name, entry.path, entry.is_git_repo) for entry in page]
    return FolderItem(folder.path, folder.parent, folder.is_git_repo, entries, len(folder.entries), folder.is_truncated)


def branch_item(branch: Branch) -> BranchItem:
    """Return what the API shows of a branch."""
    committed = rfc3339(branch.committed_ms)
    return BranchItem(branch.name, branch.kind, branch.current, branch.checked_out_at, committed, branch.commit)


def offer_item(offered: Offered | None) -> OfferItem:
    """Return what the API shows of what can be chosen, nothing where nothing is known."""
    if offered is None:
        return OfferItem(None, None, [], [], [])
    return OfferItem(
        rfc3339(offered.as_of_ms),
        offered.instance_id,
        list(map(agent_item, offered.agents)),
        list(map(command_item, offered.commands)),
        list(map(model_item, offered.models)),
    )


def agent_item(agent: Agent) -> AgentItem:
    """Return what the API shows of an agent."""
    return AgentItem(agent.name, agent.description, agent.mode, agent.native)


def command_item(command: SlashCommand) -> CommandItem:
    """Return what the API shows of a command."""
    return CommandItem(command.name, command.description, command.agent, command.source)


def model_item(model: OfferedModel) -> ModelItem:
    """Return what the API shows of a model."""
    return ModelItem(
        model.provider_id,
        model.provider_name,
        model.model_id,
        model.name,
        model.is_default,
        model.context_tokens,
        model.output_tokens,
    )
