"""The policy of a decision service: analysts' rules and watch lists over a model's score.

    definition = read_policy(path, columns)          # checked; errors name file, line and field
    policy = Policy(definition, keyring)             # compiled
    verdict = policy.decide(key, row, at=..., margin=..., score=..., review_from=policy.review_from(bands))

`PolicyFile` follows edits of the files; `keep` and `load_kept` keep each policy that ever decided.
"""

from mesh.decide.policy.definition import ACCEPT, BLOCK, REVIEW, PolicyDefinition, microseconds
from mesh.decide.policy.evaluation import Policy, Reason, Verdict
from mesh.decide.policy.finding import columns_of, find_policy, policy_files
from mesh.decide.policy.keeping import keep, load_kept
from mesh.decide.policy.linting import lint_policy
from mesh.decide.policy.lists import add_entries, remove_entry
from mesh.decide.policy.reading import list_file, products_read, read_policy
from mesh.decide.policy.watching import PolicyFile

__all__ = [
    "ACCEPT",
    "BLOCK",
    "REVIEW",
    "Policy",
    "PolicyDefinition",
    "PolicyFile",
    "Reason",
    "Verdict",
    "add_entries",
    "columns_of",
    "find_policy",
    "keep",
    "lint_policy",
    "list_file",
    "load_kept",
    "microseconds",
    "policy_files",
    "products_read",
    "read_policy",
    "remove_entry",
]
