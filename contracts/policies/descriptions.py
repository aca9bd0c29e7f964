"""What people must be able to read before they use a product."""

from collections.abc import Iterator

from mesh.contract.policies import Place, Policy, Terms

TO_BE_WRITTEN = "to be written"


def written(text: object) -> bool:
    """False too for what `mesh new` leaves for the owner to write."""
    return isinstance(text, str) and bool(text.strip()) and TO_BE_WRITTEN not in text.lower()


class ProductDescribed(Policy):
    """A product says what it is for, how to use it and what it cannot tell."""

    allowed = "description: purpose, usage and limitations, in words"

    def check(self, contract: Terms) -> Iterator[Place]:
        for part in ("purpose", "usage", "limitations"):
            if not written(contract.description.get(part)):
                yield Place(("description", part))


class TablesDescribed(Policy):
    """Every table says what it holds and what one row of it stands for."""

    allowed = "description and dataGranularityDescription, in words"

    def check(self, contract: Terms) -> Iterator[Place]:
        for path, table in contract.tables():
            for part in ("description", "dataGranularityDescription"):
                if not written(table.get(part)):
                    yield Place((*path, part))


class ColumnsDescribed(Policy):
    """Every column says what it means, in which unit and when it is missing."""

    allowed = "description, in words"

    def check(self, contract: Terms) -> Iterator[Place]:
        for column in contract.columns():
            if not written(column.data.get("description")):
                yield Place((*column.path, "description"), f"`{column.name}` does not.")
