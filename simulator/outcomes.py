"""Who was reviewed, what was found and when: the department's labels, late, partial and a little wrong.

Reviewed are a random sample of 3 %, about 20 % picked by an old noisy scorer and a few tip-offs. Findings come 5 to 120
days after the claim and about 4 % are wrong.

Planted, at an equal rate of fraud: the old scorer gives claims of EU nationals GROUP_POINTS and claims of disabled
people DISABLED_POINTS on top, so both are picked for review more often than others (about 2 and 1.45 times, the former
also because their honest claims look odd more often).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator.claims import Block
from simulator.clock import DAY
from simulator.text import join, lexicon, money, padded, stamps, take
from simulator.world import World

RANDOM_SHARE = 0.03
RISK_THRESHOLD = 1.2
"""Points above which the old scorer picks a claim; gives about 20 %."""
NOISE = 0.75
GROUP_POINTS, DISABLED_POINTS = 0.45, 0.28
TIP_OFF_FRAUD, TIP_OFF_HONEST = 0.04, 0.004
WRONG = 0.04
SELECTED_BY = lexicon(["random", "risk", "tip_off"])
FINDING = lexicon(["fraud", "error", "compliant"])
FRAUD, ERROR, COMPLIANT = range(3)


def block_outcomes(world: World, block: Block) -> pa.Table:
    """The outcomes of a block's reviewed claims, in order of the claims."""
    r = world.rand
    key, fraud = block.key, block.plan.fraud
    people = block.people
    points = block.visible + GROUP_POINTS * people.in_disparity_group + DISABLED_POINTS * people.disabled
    points = points + NOISE * r.normal("outcome.noise", key)
    tip = r.chance("outcome.tip", np.where(fraud, TIP_OFF_FRAUD, TIP_OFF_HONEST), key)
    risk = points > RISK_THRESHOLD
    at_random = r.chance("outcome.random", RANDOM_SHARE, key)
    reviewed = np.flatnonzero(at_random | risk | tip)
    key, fraud = key[reviewed], fraud[reviewed]
    selected_by = np.where(at_random, 0, np.where(risk, 1, 2))[reviewed]

    amount, due = block.amount[reviewed], np.minimum(block.due, block.amount)[reviewed]
    # repaid less than 2 % is put down to rounding
    wrong_sum = ~fraud & (amount - due > amount // 50)
    truth = np.where(fraud, FRAUD, np.where(wrong_sum, ERROR, COMPLIANT))
    other = np.where(r.chance("outcome.mild", 0.65, key), 1, 2)
    finding = np.where(r.chance("outcome.wrong", WRONG, key), (truth + np.where(truth == ERROR, 1, other)) % 3, truth)
    kept = np.where(r.chance("outcome.part", 0.25, key), amount * r.below("outcome.kept", 70, key) // 100, 0)
    repaired = np.where(due < amount, due, amount * 9 // 10)
    adjusted = np.choose(finding, [kept, repaired, amount])

    submitted = block.submitted[reviewed]
    tip_delay = 3 * DAY + r.below("outcome.tip_delay", 40 * DAY, key)
    selected = submitted + np.where(selected_by == 2, tip_delay, 60 + r.below("outcome.selected", DAY, key))
    u = r.uniform("outcome.days", key)
    took = 5 * DAY + (115 * DAY * u * (0.25 + 0.75 * u)).astype(np.int64)
    decided = np.maximum(submitted + took, selected + DAY) // DAY * DAY + 9 * 3600
    decided = decided + r.below("outcome.decided", 8 * 3600, key)
    decided = np.minimum(np.maximum(decided, submitted + 5 * DAY), submitted + 120 * DAY)
    return pa.table(
        {
            "outcome_id": join("OUT", padded(key, 12)),
            "claim_id": block.claim_id.take(pa.array(reviewed)),
            "selected_by": take(SELECTED_BY, selected_by),
            "selected_at": stamps(selected),
            "decided_at": stamps(decided),
            "finding": take(FINDING, finding),
            "adjusted_amount": money(adjusted),
        }
    )
