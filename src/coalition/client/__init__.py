"""The terminal's side of the wire: connects by mTLS, makes request ids before it sends, retries without doubling.

Knows the protos only. Never imports a room of the server.
"""
