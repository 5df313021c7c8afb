"""`fleet ps` shows the report about all OpenCode processes (fleet/diagnosis/process_report.py)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import Json, Url
from fleet.cli.options import located
from fleet.config import Config
from fleet.escape import plain
from fleet.limits import MIB

if TYPE_CHECKING:
    from fleet.diagnosis.process_report import ProcessReport
    from fleet.wire.instances import InstanceItem


@located("host", "port", "data_dir")
def ps(
    config: Config,
    orphans: Annotated[bool, typer.Option("--orphans", help="Show only live processes without an owner.")] = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show every OpenCode process that Fleet ever started, and its state.

    The command asks the server that runs on the data directory, or reads the log if there is none. --orphans shows live
    processes that carry this Fleet's marker and that no instance owns. There should be none; the exit code is 1 if
    there are.
    """
    import msgspec
    import trio

    from fleet.cli.connect import find_server
    from fleet.diagnosis.process_report import report_processes

    address, token = (None, None) if url is None else find_server(url, None)
    report = trio.run(report_processes, config, address, token)
    if json:
        found = report.orphans if orphans else report.instances
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _show(report, only_orphans=orphans)
    raise typer.Exit(1 if report.orphans else 0)


def _show(report: "ProcessReport", *, only_orphans: bool) -> None:
    if not only_orphans:
        _show_instances(report.instances, serving=report.server is not None)
    for orphan in report.orphans:
        kind = "OpenCode" if orphan.server else "started by a tool"
        print(f"orphan   process {orphan.pid} of instance {orphan.instance_id} ({kind})")


def _show_instances(instances: Sequence["InstanceItem"], *, serving: bool) -> None:
    if not instances:
        print("No OpenCode process was ever started here.")
    for instance in instances:
        process = "no process" if instance.pid is None else f"process {instance.pid}"
        print(f"{instance.status:<12} {process:<16} {instance.id}  {_span(instance)}  {plain(instance.directory)}")
        print(f"{'':<12} {plain(_became(instance, serving=serving))}")


def _span(instance: "InstanceItem") -> str:
    return f"{instance.created_at} to {instance.ended_at or 'now'}"


def _became(instance: "InstanceItem", *, serving: bool) -> str:
    """Return the state or end of the process in words."""
    said = [instance.evidence]
    if instance.exit is not None and instance.exit.signal is not None:
        said.append(f"ended by signal {instance.exit.signal}")
    elif instance.exit is not None and instance.exit.code is not None:
        said.append(f"exit code {instance.exit.code}")
    said += [f"{step.step.replace('_', ' ')} {', '.join(map(str, step.pids))}".rstrip() for step in instance.steps]
    if instance.memory_bytes is not None:
        said.append(f"{instance.memory_bytes // MIB} MiB")
        said += [] if serving else ["it runs without a server; the next start adopts it"]
    elif instance.status in ("ready", "unreachable") and not serving:
        said.append("its process has ended; the next start records that")
    said += (
        [f"{len(instance.sessions)} session{'' if len(instance.sessions) == 1 else 's'}"] if instance.sessions else []
    )
    return "; ".join(said)
