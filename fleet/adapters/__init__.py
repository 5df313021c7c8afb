"""The adapters: the ports of `fleet/ports`, implemented with the real operating system, git, OpenCode and network.

Only the packages `composition`, `diagnosis` and `maintenance` import them.
"""
