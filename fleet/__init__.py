"""Fleet: many OpenCode sessions side by side, event-sourced, on trio."""

__version__ = "0.1.0"
