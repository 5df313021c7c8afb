"""The items of the API, made from states."""
