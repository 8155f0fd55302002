"""The programme office: participants, stores, terminals and their versioned agreements.

Says who takes part and on which terms. Never moves value and never sees personal data; store and clock arrive as
arguments.
"""
