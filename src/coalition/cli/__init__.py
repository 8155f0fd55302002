"""The command line: starts the server, and speaks to one as a client.

Knows the client, replay, config and bootstrap. Never decides about value and never opens a database by itself.
"""
