"""The effects: each module does work outside that an event asks for, and reports the result as a command."""
