"""The folds over the journal: what can be computed again from its entries, such as positions per window.

Reads the journal in order and keeps its own tables. Never writes a journal entry, and rebuilding gives the same bytes.
"""
