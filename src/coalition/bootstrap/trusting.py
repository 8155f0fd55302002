"""What headquarters says of its own audit log: the trust file, and whether its tree is the journal's."""

from coalition.audit.policy import NONE, Policy
from coalition.audit.trust import BatchKey, Trust
from coalition.bootstrap.databases import databases
from coalition.bootstrap.errors import strongroom_errors
from coalition.bootstrap.following import audit_tree_follower
from coalition.bootstrap.identities import certificate
from coalition.bootstrap.policies import read_policy
from coalition.bootstrap.strongroom import batch_key, existing_key_ring, log_signer
from coalition.config import Settings
from coalition.followers.follower import Comparison
from keys import authority_public_keys


def trust_file(settings: Settings) -> str:
    """The text of the trust file. Raises StrongroomRefused, SettingInvalid.

    Terminals' authorities are those whose certificates this house trusts.
    """
    ring = existing_key_ring(settings)
    policy = Policy(quorum=NONE) if settings.witness_policy is None else read_policy(settings.witness_policy)
    policy.logs = {}
    key = log_signer(settings, ring).key
    policy.logs[key.name] = key
    trusted = certificate(settings, "/server").chain.read_bytes()
    with strongroom_errors():
        authorities = authority_public_keys(trusted)
    return str(Trust(policy, [BatchKey(batch_key(settings, ring))], authorities))


def compare_tree(settings: Settings) -> Comparison:
    """The audit tree that is kept beside one made again from the journal. Raises CoalitionError, such as TreeForked."""
    signer = log_signer(settings, existing_key_ring(settings))
    with databases(settings, attach=True) as opened:
        return audit_tree_follower(opened.dsn(), signer).rebuild()
