"""The adapter for OpenCode: its processes (`process`), its HTTP interface (`client`), its event stream (`events`).

`wire` and the modules beside it know OpenCode's JSON, `binary` finds the executable and its version, and `identity`
finds Fleet's own processes. `docs/adr/0003-opencode-processes.md` has the measured behaviour behind all of it.
"""
