"""Where a product comes from and how fresh it is kept."""

from collections.abc import Iterator

from mesh.contract.policies import Place, Policy, Terms


class FreshnessPromised(Policy):
    """A product promises how old its newest data may be: service level `freshness` or `latency`."""

    allowed = "slaProperties: freshness, with a value and a unit"

    def check(self, contract: Terms) -> Iterator[Place]:
        found = contract.service_level("freshness", "latency")
        if found is None:
            yield Place(("slaProperties",))
        elif not found[1].get("unit"):
            yield Place((*found[0], "unit"))


class SourcesNamed(Policy):
    """A product names what it is made from: custom property `sources`, a list of contract ids as its domain's
    input ports have them."""

    allowed = "sources: a list of contract ids, such as source:raw_claims"

    def check(self, contract: Terms) -> Iterator[Place]:
        sources = contract.custom("sources")
        if not isinstance(sources, list) or not sources or not all(isinstance(one, str) and one for one in sources):
            yield Place(("customProperties",))
