"""The HTTP door: decode a request, ask an actor or read a view, encode the answer. Nothing else happens here."""
