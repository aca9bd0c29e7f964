"""One decision by a policy: analysts' rules, the random sample and the model's review, in a fixed order.

    block    a rule that blocks
    review   a rule that asks for review
    review   the model, unless a rule that accepts holds
    review   the draw at random, of rows that nothing above chose
    accept   everything else

The order of rules in the file decides nothing: what the strongest action says is done, and reasons are told strongest
first, those of one action by id. The model alone never blocks. What is unknown is neutral and said: a condition over it
is not met, and the decision names the columns.

There is no clock and no chance in here: the same policy, key, row, margin and moment give the same decision anywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mesh.decide.policy.conditions import Test, compile_condition
from mesh.decide.policy.definition import ACCEPT, ACTIONS, BLOCK, REVIEW, Period, PolicyDefinition, Rule
from mesh.decide.policy.lists import RENEW, tokeniser
from mesh.errors import ProjectError

if TYPE_CHECKING:
    from mesh.access.keys import KeyRing
    from mesh.model.calibration import Bands

MODEL, RANDOM = "model", "random"
"""What can ask for a review beside rules, as the source of a reason."""

BY_RULE, BY_RISK, AT_RANDOM = "rule", "risk", "random"
"""How a row came to be reviewed or blocked."""

KNOWN_BAD = 100
"""The risk score of whatever stands on a list for which it is blocked or reviewed."""

_DRAW_BYTES = 8


class Reason(msgspec.Struct, frozen=True):
    """A reason code, its plain words, and the rule behind it (`model` and `random` are none of the analysts')."""

    code: str
    words: str
    rule: str
    action: str


class Verdict(msgspec.Struct, frozen=True):
    """What a policy says of one row.

    Attributes:
        decision: accept, review or block.
        risk_score: the model's 0 to 100, or 100 for what stands on a list of the known bad; None if neither is known.
        reasons: what led to it, strongest first.
        told: reason codes of lists on which the row was looked for and not found.
        rules: ids of all the analysts' rules that held.
        not_known: columns that were not known where a condition asked for them, lookups that failed, and `model`
            where no score was there.
        selected_by: rule, risk or random; None for what is accepted.
        drawn: the row belongs to the random sample, whatever else chose it.
        key_id: the key of the draw, so that it can be made again.
    """

    decision: str
    risk_score: int | None
    reasons: tuple[Reason, ...]
    told: tuple[Reason, ...]
    rules: tuple[str, ...]
    not_known: tuple[str, ...]
    selected_by: str | None
    drawn: bool
    key_id: str
    policy: str
    version: str
    sha256: str


class Policy:
    """A policy, compiled once. Immutable, so any number of threads may ask it and a reload is one new reference."""

    def __init__(self, definition: PolicyDefinition, keyring: KeyRing, *, key_id: str | None = None) -> None:
        """Args:
        key_id: the key that draws and makes tokens; default the active one. Replay names that of the decision.

        Raises:
            ProjectError: a list holds tokens of another key, so that its rules could never fire.
            SettingsError: the ring holds no such key.
        """
        self.definition = definition
        self.sha256 = definition.sha256
        self.key_id = key_id or keyring.active_id
        for one in definition.lists.values():
            if one.key_id not in (None, self.key_id):
                what = f"holds tokens of key {one.key_id}, and tokens are now made with {self.key_id}. {RENEW}"
                raise ProjectError(what, file=one.file, line=2, field="token")
        ordered = sorted(definition.rules, key=lambda rule: (ACTIONS.index(rule.action), rule.id))
        self._rules = tuple(_Compiled(rule, definition, keyring, self.key_id) for rule in ordered)
        self._neutral = tuple(definition.not_known.items())
        self._model = Reason(definition.model.told.reason, definition.model.told.says, MODEL, REVIEW)
        self._random: Reason | None = None
        self._draw, self._below = b"", 0
        if definition.random is not None:
            self._random = Reason(definition.random.told.reason, definition.random.told.says, RANDOM, REVIEW)
            self._draw = keyring.drawing_key(self.key_id)
            self._below = int(definition.random.share * 2 ** (8 * _DRAW_BYTES))
        capacity = definition.model.capacity
        self._mark = None if capacity is None else 100 - round(capacity * 100)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that a row must have to be decided about (as None where they are not known)."""
        return frozenset(name for rule in self._rules for name in rule.columns) | frozenset(self.definition.not_known)

    def review_from(self, bands: Bands) -> float:
        """The lowest margin that the model's review takes."""
        if self._mark is None or abs(self._mark / 100 - (1 - bands.capacity)) < 1e-9:
            return bands.high
        return bands.percentiles[self._mark - 1] if self._mark else float("-inf")

    def drawn(self, key: str) -> bool:
        """True where a row belongs to the random sample: always the same for one key (and secret)."""
        if not self._below:
            return False
        digest = hashlib.blake2b(key.encode(), digest_size=_DRAW_BYTES, key=self._draw).digest()
        return int.from_bytes(digest, "big") < self._below

    def decide(
        self,
        key: str,
        row: Mapping[str, Any],
        *,
        at: int,
        margin: float | None,
        score: int | None,
        review_from: float,
        failed: Collection[str] = (),
    ) -> Verdict:
        """Decide about one row.

        Args:
            key: of the row; what the random draw goes by.
            row: a value, or None, for each of `columns`; others are ignored.
            at: the moment of the decision, microseconds since 1970, UTC: which rules are in effect.
            margin, score: what the model says, None where it says nothing.
            review_from: `review_from` of the bands that belong to that model.
            failed: columns whose lookup failed; their values count as unknown, whatever they are.
        """
        unknown: dict[str, None] = dict.fromkeys(failed)
        blank = [name for name, values in self._neutral if row[name] in values]
        if failed or blank:
            row = {**row, **dict.fromkeys(failed), **dict.fromkeys(blank)}
        reasons: list[Reason] = []
        accepting: list[Reason] = []
        told: list[Reason] = []
        strongest, known_bad = ACCEPT, False
        for rule in self._rules:
            if not rule.start <= at < rule.end:
                continue
            held = rule.condition(row) if rule.watch is None else rule.watch(row, at)
            if held:
                if rule.action == ACCEPT:
                    accepting.append(rule.reason)
                    continue
                reasons.append(rule.reason)
                known_bad = known_bad or rule.listed
                if strongest != BLOCK:
                    strongest = rule.action
            elif held is None:
                for name in rule.columns:
                    if row[name] is None:
                        unknown[name] = None
            elif rule.otherwise is not None:
                told.append(rule.otherwise)
        rules = tuple([reason.rule for reason in (*reasons, *accepting)])
        selected = None if strongest == ACCEPT else BY_RULE
        if margin is None:
            unknown[MODEL] = None
        elif margin >= review_from and not accepting:
            selected = selected or BY_RISK
            reasons.append(self._model)
        drawn = self._below > 0 and self.drawn(key)
        if drawn and selected is None:
            assert self._random is not None
            selected = AT_RANDOM
            reasons.append(self._random)
        if selected in (BY_RISK, AT_RANDOM):
            strongest = REVIEW
        return Verdict(
            decision=strongest,
            risk_score=KNOWN_BAD if known_bad else score,
            reasons=(*reasons, *accepting),
            told=tuple(told),
            rules=rules,
            not_known=tuple(unknown),
            selected_by=selected,
            drawn=drawn,
            key_id=self.key_id,
            policy=self.definition.name,
            version=self.definition.version,
            sha256=self.sha256,
        )


class _Compiled:
    """A rule as the loop over all rules needs it."""

    __slots__ = ("action", "columns", "condition", "end", "listed", "otherwise", "reason", "start", "watch")

    def __init__(self, rule: Rule, definition: PolicyDefinition, keyring: KeyRing, key_id: str) -> None:
        self.start, self.end = rule.period.start, rule.period.end
        self.action = rule.action
        self.listed = rule.listed is not None
        self.reason = Reason(rule.told.reason, rule.told.says, rule.id, rule.action)
        otherwise = rule.otherwise
        self.otherwise = None if otherwise is None else Reason(otherwise.reason, otherwise.says, rule.id, ACCEPT)
        self.condition: Test = _never
        self.watch: Callable[[Mapping[str, Any], int], bool | None] | None = None
        if rule.listed is not None:
            self.columns: tuple[str, ...] = (rule.listed.column,)
            watched = definition.lists[rule.listed.list]
            token = None if rule.listed.tokens or not watched.entries else tokeniser(keyring, watched.kind, key_id)
            self.watch = _on_list(rule.listed.column, watched.entries, token)
        else:
            assert rule.when is not None
            condition = compile_condition(rule.when, definition.columns)
            self.columns = condition.columns
            self.condition = condition.test


def _never(_row: Mapping[str, Any]) -> bool:
    return False


def _on_list(
    column: str, entries: Mapping[str, Period], token: Callable[[str], str | None] | None
) -> Callable[[Mapping[str, Any], int], bool | None]:
    def test(row: Mapping[str, Any], at: int) -> bool | None:
        value = row[column]
        if value is None:
            return None
        period = entries.get(value if token is None else token(value) or "")
        return period is not None and period.start <= at < period.end

    return test
