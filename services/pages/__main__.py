"""`python -m services.pages`: serve the pages on loopback until told to stop."""

from __future__ import annotations

import sys

import uvicorn

from mesh.errors import MeshError
from mesh.session import open_mesh
from mesh.settings import LOOPBACK
from services.pages.app import create_app

GOODBYE_SECONDS = 3


def main() -> int:
    try:
        mesh = open_mesh()
        app = create_app(mesh)
    except MeshError as error:
        print(f"Error {error}", file=sys.stderr)
        return error.exit_code
    uvicorn.run(
        app,
        host=LOOPBACK,
        port=mesh.settings.pages_port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
