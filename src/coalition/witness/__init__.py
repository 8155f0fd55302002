"""A witness: remembers how far it has seen each log grow, and cosigns what only grows. Anybody may run one.

Speaks C2SP tlog-witness over HTTP and keeps its memory in files of its own. Knows no ledger, no house and no key: what
signs, verifies and tells the time is handed in.
"""
