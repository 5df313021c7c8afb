"""`fleet log`: the commands for the audit log, a module for each."""

from typing import Final

import typer

from fleet.cli.commands.log.anchor import anchor
from fleet.cli.commands.log.compact import compact
from fleet.cli.commands.log.compare import diff
from fleet.cli.commands.log.export_log import export, import_
from fleet.cli.commands.log.pack import pack
from fleet.cli.commands.log.replay import replay
from fleet.cli.commands.log.retention import retention
from fleet.cli.commands.log.show_events import show
from fleet.cli.commands.log.verify import verify
from fleet.cli.commands.log.why import why

_COMMANDS: Final = (
    (show, "show --session 0198c0de --type session.turn-ended"),
    (pack, "pack 0198c0de -o evidence"),
    (retention, "retention"),
    (compact, "compact --data-dir ~/.local/share/fleet"),
    (why, "why src/login.py --session 0198c0de"),
    (export, "export -o fleet-export --session 0198c0de --redact transcripts"),
    (import_, "import fleet-export --data-dir ~/fleet-imported --verify"),
    (diff, "diff 2026-01-30 2026-01-31"),
    (replay, "replay --data-dir ~/fleet-copy"),
    (verify, "verify --export fleet-log.jsonl"),
    (anchor, "anchor --to /mnt/elsewhere/fleet-anchors.jsonl"),
)

log = typer.Typer(no_args_is_help=True, help="Read, explain and verify the audit log.")
for _command, _example in _COMMANDS:
    log.command(_command.__name__.rstrip("_"), epilog=f"Example: fleet log {_example}")(_command)
