"""The wire types of server and clients: request bodies (bodies.py), responses (items.py), streams (frames.py)."""
