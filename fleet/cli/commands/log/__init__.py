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
from fleet.cli.placeholders import PlainCommand, PlainGroup

_COMMANDS: Final = (
    (show, "show --session 0198c0de --type session.turn-ended"),
    (why, "why src/login.py --session 0198c0de"),
    (diff, "diff 2026-01-30 2026-01-31"),
    (verify, "verify --anchor /mnt/elsewhere/fleet-anchors.jsonl"),
    (anchor, "anchor --to /mnt/elsewhere/fleet-anchors.jsonl"),
    (pack, "pack 0198c0de -o evidence"),
    (export, "export -o fleet-export --redact transcripts"),
    (import_, "import fleet-export --data-dir ~/fleet-imported --verify"),
    (replay, "replay --data-dir ~/fleet-copy"),
    (retention, "retention"),
    (compact, "compact --data-dir ~/fleet"),
)

log = typer.Typer(cls=PlainGroup, no_args_is_help=True, help="Read, explain and verify the audit log.")
for _command, _example in _COMMANDS:
    log.command(_command.__name__.rstrip("_"), cls=PlainCommand, epilog=f"Example: fleet log {_example}")(_command)
