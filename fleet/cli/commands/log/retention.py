"""`fleet log retention` says which sessions the server erases next, by its rule."""

from typing import TYPE_CHECKING

from fleet.cli.connect import Json, connected

if TYPE_CHECKING:
    from fleet.client import FleetClient


@connected
async def retention(fleet: "FleetClient", *, json: Json = False) -> None:
    """List the sessions that the server erases next, because they ended longer ago than it keeps transcripts.

    Nothing is erased by this command. The rule is the server's key keep_transcripts_days.
    """
    from fleet.cli.sanitize import SafeConsole, json_of, line_of

    found = await fleet.retention()
    if json:
        print(json_of(found))
        return
    console = SafeConsole()
    if found.keep_transcripts_days is None:
        console.print("Transcripts are kept without a limit: the server has no keep_transcripts_days", soft_wrap=True)
        return
    console.print(f"Transcripts are kept for {found.keep_transcripts_days:g} days; {found.total} sessions are due")
    for each in found.due:
        console.print(f"{each.id}  ended {each.ended_at}  {line_of(each.title)}", soft_wrap=True)
