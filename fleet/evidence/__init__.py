"""The evidence pack: one session as a folder that a person reads, and can verify, without Fleet."""
