"""Work on a whole data directory, from the command line: back up, restore, compact, import."""
