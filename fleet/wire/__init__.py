"""What goes over the wire, for both of its ends: bodies.py comes in, items.py goes out, frames.py is streamed."""
