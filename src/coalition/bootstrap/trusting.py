"""The trust file of a house: what its key ring and its witness policy say an auditor should pin."""

from coalition.audit.policy import NONE, Policy
from coalition.audit.trust import BatchKey, Trust
from coalition.bootstrap.policies import read_policy
from coalition.bootstrap.strongroom import batch_key, existing_key_ring, log_signer
from coalition.config import Settings


def trust_file(settings: Settings) -> str:
    """The text of the trust file. Raises StrongroomRefused, SettingInvalid."""
    ring = existing_key_ring(settings)
    policy = Policy(quorum=NONE) if settings.witness_policy is None else read_policy(settings.witness_policy)
    policy.logs = {}
    key = log_signer(settings, ring).key
    policy.logs[key.name] = key
    return str(Trust(policy, [BatchKey(batch_key(settings, ring))]))
