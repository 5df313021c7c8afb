"""The adapter for OpenCode: its processes (`process`), its HTTP interface (`client`), its event stream (`events`).

`wire` alone knows how OpenCode spells things; `binary` which executable and version; `identity` which process is ours.
The measured behaviour behind all of it is in `docs/adr/0003-opencode-processes.md`.
"""
