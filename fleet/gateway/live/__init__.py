"""Live streams: events and views as they change, over Server-Sent Events and WebSockets."""
