"""Who made a model bundle: a signature over its manifest, with a key of this mesh.

The key is derived from the mesh's key ring (`<home>/keys.json` or MESH_TOKEN_KEY), so a mesh trusts what it trained
itself and nothing else; machines that share the ring share their models. A rotated key still verifies what it signed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError

if TYPE_CHECKING:
    from mesh.access.keys import KeyRing

ALGORITHM = "HMAC-SHA256"


@dataclass(frozen=True)
class Signer:
    """Signs with the active key of a ring and verifies with any of it."""

    ring: KeyRing

    @classmethod
    def of(cls, home: Path) -> Signer:
        """That of the mesh whose home this is.

        Raises:
            SettingsError: the key file is damaged or readable by others.
        """
        from mesh.access.keys import KeyRing
        from mesh.settings import Settings

        return cls(KeyRing.load(Settings(project=home, home=home)))

    def sign(self, raw: bytes) -> bytes:
        """The signature as a file's content: the key's id and the code."""
        return self._signed(self.ring.active_id, raw)

    def verify(self, raw: bytes, signature: bytes, path: Path) -> None:
        """Refuse what this mesh did not sign.

        Args:
            path: the signature's file, for the error.

        Raises:
            ModelError: the signature is damaged, of another mesh, or of other content.
        """
        try:
            body: dict[str, Any] = json.loads(signature)
            algorithm, key = body["algorithm"], str(body["key"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(f"{path}: this is no signature of a model bundle, so nothing of it was parsed.") from error
        if algorithm != ALGORITHM:
            raise ModelError(f"{path}: the signature's algorithm is not known. Allowed: {ALGORITHM}.")
        if key not in self.ring.ids:
            raise ModelError(
                f"{path}: the model is foreign: it was signed with a key that this mesh does not hold, so nothing of "
                f"it was parsed. This mesh holds {', '.join(self.ring.ids)}. Train the model here; machines of one "
                "mesh share its key file or MESH_TOKEN_KEY."
            )
        if not hmac.compare_digest(signature, self._signed(key, raw)):
            raise ModelError(
                f"{path}: the signature is not that of the bundle beside it, so nothing of it was parsed. Restore the "
                "bundle from a backup, promote another version, or train the model again."
            )

    def _signed(self, key: str, raw: bytes) -> bytes:
        code = hmac.new(self.ring.signing_key(key), raw, hashlib.sha256).hexdigest()
        return (json.dumps({"algorithm": ALGORITHM, "key": key, "signature": code}, indent=1) + "\n").encode()
