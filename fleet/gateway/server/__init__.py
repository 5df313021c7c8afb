"""The layers around every route: access, limits, repeated requests, and error responses."""
