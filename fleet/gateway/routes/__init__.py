"""The routes of the API, a module for each resource: each asks an actor or reads a view, and encodes the response."""
