"""The pure core: the rules for sessions, instances, workspaces and webhooks. No I/O, no clock, no randomness."""
