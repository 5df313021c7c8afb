"""The rehearsal model: a scripted OpenAI-compatible model on which all of Fleet runs for free. See README.md here."""
