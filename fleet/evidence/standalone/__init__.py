"""The files of a pack that work without Fleet: they are copied into it."""
