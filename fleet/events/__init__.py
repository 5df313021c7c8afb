"""The append-only event log: envelope, codec, writer, feed."""
