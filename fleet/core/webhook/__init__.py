"""The webhook aggregate: one address that is told what happens to sessions."""
