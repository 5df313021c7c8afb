"""Fleet is a server that runs many OpenCode sessions side by side, as event-sourced actors on trio."""

__version__ = "0.1.0"
