"""The workspace aggregate: one directory that sessions work in."""
