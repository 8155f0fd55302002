"""The study: money, lots, agreements, windows and every decision, as pure functions of their arguments.

Imports the standard library only. Never reads a clock, draws a random number, touches a database or a network.
"""
