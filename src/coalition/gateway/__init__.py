"""Doors for other protocols, such as ISO 8583, each translated into the protos' own calls.

Empty until the issue that brings the first such protocol. Will know the protos only, and will never decide about value.
"""
