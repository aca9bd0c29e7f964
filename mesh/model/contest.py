"""How a person can have a decision looked at: Articles 22A to 22D of the UK GDPR, and whom to ask.

The articles (Data (Use and Access) Act 2025) ask four things for a significant decision without meaningful human
involvement: information, representations, human intervention, contest. Whom to ask is what contract and domain say;
what they leave out is named as missing, never made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mesh.contract import Contract

PERSON = "The score decides nothing: it puts work in an order. A person looks at the case and decides, also against it."
RIGHTS = (
    ("information", "to be told that a model was used, and what raised and lowered the score: what is shown here"),
    ("representations", "to say what the data does not show, and to have it considered"),
    ("human intervention", "to have a person who may change the outcome look at the case anew"),
    ("contest", "to have the outcome reviewed, and corrected where it was wrong"),
)


@dataclass(frozen=True)
class Contest:
    """The way to contest.

    Attributes:
        person: that a person decides. usage: what the contract says that the score is for, in its own words.
        rights: what a person may ask for, each with what it means.
        contacts: whom to ask, as contract and domain name them. missing: what neither says.
    """

    person: str
    usage: str
    rights: tuple[tuple[str, str], ...]
    contacts: tuple[str, ...]
    missing: tuple[str, ...]


def contest_path(contract: Contract, support: Sequence[Mapping[str, Any]] = ()) -> Contest:
    """The way to contest what a product of scores led to.

    Args:
        support: the support channels of the domain, which serve where the contract names none.
    """
    channels = [channel.model_dump() for channel in contract.odcs.support or ()] or list(support)
    contacts = [_channel(channel) for channel in channels]
    contacts += [f"{contract.owner}, which owns the product"] if contract.owner else []
    missing = []
    if not channels:
        missing.append(f"a support channel: `support` of contracts/{contract.name}.yaml")
    elif not any(channel.get("url") for channel in channels):
        missing.append(f"an address of the support channel: `support.url` of contracts/{contract.name}.yaml")
    usage = (contract.odcs.description.usage or "") if contract.odcs.description else ""
    if not usage:
        missing.append(f"what the score is for: `description.usage` of contracts/{contract.name}.yaml")
    return Contest(PERSON, " ".join(usage.split()), RIGHTS, tuple(contacts), tuple(missing))


def _channel(channel: Mapping[str, Any]) -> str:
    name = str(channel.get("channel") or "support")
    place = f" ({channel['url']})" if channel.get("url") else ""
    told = f": {channel['description']}" if channel.get("description") else ""
    return f"{name}{place}{told}"
