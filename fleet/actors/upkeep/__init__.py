"""Upkeep: work that no caller asks for, such as recovery after a crash, idle processes and orphans."""
