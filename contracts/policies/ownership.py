"""Who answers for a product."""

from collections.abc import Iterator

from mesh.contract.policies import Place, Policy, Terms

ASSET_OWNER = "information asset owner"


def named(contract: Terms, role: str) -> bool:
    return any(
        str(member.get("role", "")).lower() == role and (member.get("username") or member.get("name"))
        for member in contract.members()
    )


class OwnerNamed(Policy):
    """A product has a team with a name, and one member of it with the role `owner`."""

    allowed = "team: a name, and a member with role: owner"

    def check(self, contract: Terms) -> Iterator[Place]:
        team = contract.data.get("team")
        if not isinstance(team, dict) or not team.get("name") or not named(contract, "owner"):
            yield Place(("team",))


class InformationAssetOwnerNamed(Policy):
    """Somebody answers for the information in a product and its use: a member of the team with the role `information
    asset owner`."""

    allowed = f"team.members: one with role: {ASSET_OWNER}"

    def check(self, contract: Terms) -> Iterator[Place]:
        if not named(contract, ASSET_OWNER):
            yield Place(("team", "members"))
