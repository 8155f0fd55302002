"""Real trade told again: reads a data set, turns it into operations and sends them through the client.

Also recomputes the month from the exported journal, independently. Never imports the rules it is there to check.
"""
