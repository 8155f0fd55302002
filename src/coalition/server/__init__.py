"""The front door: gRPC assembly, interceptors, permissions, servicers and the conversion of messages.

Turns calls into requests for the rooms behind it and their answers into replies. Never decides about value, never opens
a database.
"""
