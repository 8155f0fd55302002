"""coalition: one member card and one stored-value wallet, honoured by every store and settled by the month.

The rooms and the doors between them are in CONTRIBUTING.md; bootstrap alone knows every room.
"""
