"""The pure core: what a session, an instance and a workspace may do. No I/O, no clock, no randomness."""
