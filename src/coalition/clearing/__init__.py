"""The hall: the desk where operations queue, are decided in batches, written once and answered.

Moves value and knows members by id only. Never sees personal data, never opens a database or reads a clock by itself:
store and clock arrive as arguments.
"""
