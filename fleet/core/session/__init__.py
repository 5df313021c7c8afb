"""The session aggregate: one coding task from creation to its end."""
