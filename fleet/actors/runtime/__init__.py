"""The actor toolkit: mailboxes, actors, supervision, and the actor that owns an event stream. It knows no aggregate."""
