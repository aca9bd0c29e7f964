"""What the law asks of a product that holds personal data (UK GDPR, Articles 5 and 6)."""

from collections.abc import Iterator
from typing import Any

from mesh.contract.policies import Column, Place, Policy, Terms, custom

LEVELS = ("public", "internal", "confidential", "restricted")
PERSONAL_LEVELS = ("confidential", "restricted")
PERSONAL_TAGS = frozenset({"personal data", "identifier"})
# Article 6(1) (a) to (f), in the words of the regulator, and (ea) of the Data (Use and Access) Act 2025.
BASES = (
    "consent",
    "contract",
    "legal obligation",
    "vital interests",
    "public task",
    "recognised legitimate interest",
    "legitimate interests",
)
PERIODS = ("d", "day", "days", "w", "week", "weeks", "month", "months", "y", "yr", "year", "years")


def is_personal(column: Column) -> bool:
    return any(level in PERSONAL_LEVELS for level in levels(column.data)) or bool(column.tags & PERSONAL_TAGS)


def levels(data: dict[str, Any]) -> Iterator[object]:
    """The classification of a column and of what has no name inside it: items of an array, key and value of a map."""
    yield data.get("classification")
    for inner in (data.get("items"), *(data.get("map") or {}).values()):
        if isinstance(inner, dict):
            yield from levels(inner)


def holds_personal_data(contract: Terms) -> bool:
    """True where the product is tagged so, or one of its columns is or is classified confidential or restricted."""
    tags = {str(tag).lower() for tag in contract.data.get("tags") or ()}
    return bool(tags & PERSONAL_TAGS) or any(is_personal(column) for column in contract.columns())


def words(given: object) -> set[str]:
    """One word or a list of words; what is empty or no text does not count."""
    return {one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str) and one.strip()}


class ColumnsClassified(Policy):
    """Every column says how freely it may be read."""

    allowed = ", ".join(LEVELS)

    def check(self, contract: Terms) -> Iterator[Place]:
        for column in contract.columns():
            if column.data.get("classification") not in LEVELS:
                yield Place((*column.path, "classification"), f"`{column.name}` does not.")


class PersonalDataTagged(Policy):
    """A product with a confidential or restricted column is tagged `personal data`, so that people can find it."""

    allowed = "tags: [personal data]"

    def check(self, contract: Terms) -> Iterator[Place]:
        tags = {str(tag).lower() for tag in contract.data.get("tags") or ()}
        if holds_personal_data(contract) and "personal data" not in tags:
            yield Place(("tags",))


class PurposesStated(Policy):
    """A product with personal data says for which purposes it may be used: custom property `purposes`."""

    allowed = "purposes: a list of words"

    def check(self, contract: Terms) -> Iterator[Place]:
        if holds_personal_data(contract) and not words(contract.custom("purposes")):
            yield Place(("customProperties",))


class LawfulBasisStated(Policy):
    """A product with personal data names the lawful basis of its use: custom property `lawfulBasis`."""

    allowed = ", ".join(BASES)

    def check(self, contract: Terms) -> Iterator[Place]:
        if holds_personal_data(contract) and contract.custom("lawfulBasis") not in BASES:
            yield Place(("customProperties",))


class RetentionPromised(Policy):
    """A product with personal data says how long it is kept: service level `retention` with a value and a unit."""

    allowed = f"slaProperties: retention, a number above 0 and one of {', '.join(PERIODS)}"

    def check(self, contract: Terms) -> Iterator[Place]:
        if not holds_personal_data(contract):
            return
        found = contract.service_level("retention")
        if found is None:
            yield Place(("slaProperties",))
            return
        path, level = found
        value = level.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            yield Place((*path, "value"))
        elif level.get("unit") not in PERIODS:
            yield Place((*path, "unit"))


class ColumnPurposesWithinTheProducts(Policy):
    """A column with purposes of its own keeps within those of the product."""

    allowed = "purposes that the product has too"

    def check(self, contract: Terms) -> Iterator[Place]:
        product = words(contract.custom("purposes"))
        for column in contract.columns():
            # A product that states none breaks another policy already.
            if product and words(custom(column.data, "purposes")) - product:
                yield Place((*column.path, "customProperties"), f"`{column.name}` does not.")
