"""Puts the house together: the only package that knows every room, the real clock, real chance and the key files.

Makes on the first start what is missing below var: two embedded databases, a key ring, a development authority. Decides
nothing about value. Import the noun you need (`from coalition.bootstrap.databases import databases`): each opens only
its own rooms, so that a command of the month does not load a server.
"""
