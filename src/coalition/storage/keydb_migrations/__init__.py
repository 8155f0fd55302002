"""The key database's schema, revision by revision."""
