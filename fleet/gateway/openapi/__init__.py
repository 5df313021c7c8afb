"""What openapi.json says: it is made of the routes' own declarations."""
