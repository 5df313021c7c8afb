"""The composition roots: they combine the parts into a server, and into an agent on another machine."""
