"""A shop whose contract names its owner's addresses, with a registered consumer, and receivers for both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mesh.notify.receivers import Hooks, Mailbox, mail_server, web_server
from tests.mesh.release.conftest import shop

__all__ = ["shop"]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as mailbox:
        yield mailbox


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with web_server() as hooks:
        yield hooks
