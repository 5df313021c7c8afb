"""What no caller asks for: recovery after a crash, idle processes, orphans."""
