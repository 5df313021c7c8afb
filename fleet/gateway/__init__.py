"""The HTTP gateway: it decodes a request, asks an actor or reads a view, and encodes the response."""
