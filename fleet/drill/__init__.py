"""The drill of `fleet doctor --drill`: it breaks scratch copies of the log, and reports whether Fleet recovers."""
