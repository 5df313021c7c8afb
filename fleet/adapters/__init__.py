"""The adapters: the ports of `fleet/ports`, implemented with the real operating system, git, OpenCode and network.

Only `main.py`, `doctor.py` and `process_report.py` import them.
"""
