"""Items of the API, made of the states that the server holds."""
