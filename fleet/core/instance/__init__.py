"""The instance aggregate: one `opencode serve` process, from the intent to spawn it to the proof that it has ended."""
