"""Reception: enrolment, cards, disclosure and erasure.

Sees personal data, sealed before it is stored. Never moves value; store, cipher and clock arrive as arguments.
"""
