"""The clock tower: the month. Netting, settlement runs, statements and payment files.

A job (`python -m settlement`) and the head office's own server process, under its own database role. Imports coalition;
nothing imports it. Never changes a journal entry, never moves a claim into another window.
"""
