"""The wire types of server and clients: bodies.py comes in, items.py goes out, frames.py is streamed."""
