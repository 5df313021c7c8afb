"""What callers can ask for: a coroutine for each use case, from the request to the result that the caller waits for."""
