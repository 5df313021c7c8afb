"""The use cases: a coroutine for each thing that a caller can ask for, from the request to the result."""
