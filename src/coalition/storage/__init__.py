"""The databases: the embedded PostgreSQL, the ledger, the key database and their migrations."""
