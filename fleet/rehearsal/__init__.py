"""A scripted OpenAI-compatible model: all of Fleet runs on it without a paid one. See README.md here."""
