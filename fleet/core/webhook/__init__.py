"""The webhook aggregate: one address that gets messages about sessions."""
