"""The evidence: leaves, Merkle trees, checkpoints and proofs that anyone can verify with a pencil.

Holds no database and no key: signing and verifying functions are handed in. Never sees what a leaf's sealed fields say.
"""
