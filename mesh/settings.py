"""Every setting of the mesh, one typed field per environment variable.

Nothing reads the environment at import time: call `get_settings()` where a setting is needed.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mesh.errors import SettingsError

PROJECT_MARK = "workspace.yaml"
LOOPBACK = "127.0.0.1"


def find_project() -> Path:
    """The mesh's own folder: the nearest one, from here upwards, that holds `workspace.yaml`."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / PROJECT_MARK).is_file() and (folder / "contracts").is_dir():
            return folder
    raise SettingsError(
        f"No mesh here: neither {here} nor a folder above it holds {PROJECT_MARK} and contracts/. "
        "Change into the project's folder, or name it in MESH_PROJECT."
    )


class Settings(BaseSettings):
    """Where the mesh lives and what it may use. Paths are made absolute."""

    model_config = SettingsConfigDict(env_prefix="MESH_", extra="ignore", frozen=True)

    project: Path = Field(default_factory=find_project, description="folder with contracts/, dbt/ and data_products/")
    home: Path = Field(default=Path(".mesh"), description="state: Postgres, keys, logs, Dagster, MLflow artefacts")
    postgres_url: SecretStr | None = Field(default=None, description="your own Postgres instead of the embedded one")
    lake_data: Path | None = Field(default=None, description="the lake's Parquet files; default HOME/lake")
    landing: Path | None = Field(default=None, description="where source files arrive; default HOME/landing")
    token_key: SecretStr | None = Field(default=None, description="key of the identifier tokens instead of the file")
    dagster_port: int = Field(default=3000, ge=1, le=65535, description="loopback port of the Dagster UI")
    mlflow_port: int = Field(default=5000, ge=1, le=65535, description="loopback port of the MLflow UI")
    pages_port: int = Field(default=3100, ge=1, le=65535, description="loopback port of the mesh's own pages")
    threads: int = Field(default=2, ge=1, description="threads of one DuckDB connection and of LightGBM")
    smtp_url: SecretStr | None = Field(default=None, description="mail server: smtp://USER:PASSWORD@HOST:587, smtps://")
    mail_from: str | None = Field(default=None, description="sender of emails; default the user of smtp_url")
    webhook_secret: SecretStr | None = Field(default=None, min_length=1, description="key of the webhooks' signatures")

    token_max_days: int = Field(default=365, ge=1, le=3650, description="how long a bearer token may be valid")
    jwt_keys: Path | None = Field(default=None, description="public keys of signed tokens: a JWKS or PEM file")
    jwt_issuer: str | None = Field(default=None, min_length=1, description="who must have signed: the claim iss")
    jwt_audience: str | None = Field(default=None, min_length=1, description="for whom it must be: the claim aud")
    jwt_algorithms: str = Field(default="EdDSA,ES256,RS256", description="allowed signatures; HS256 only where named")
    jwt_max_seconds: int = Field(default=3600, ge=1, le=86400, description="how long a signed token may be valid")
    jwt_leeway_seconds: int = Field(default=30, ge=0, le=300, description="how far two clocks may be apart")
    service_rate: int = Field(default=10_000, ge=1, description="requests a second that one bearer may make")
    service_concurrent: int = Field(default=256, ge=1, description="requests at work at once before others are refused")
    service_body_bytes: int = Field(default=64 * 1024, ge=1, description="largest body of a request")
    service_body_seconds: float = Field(default=5, gt=0, description="how long the body of a request may take")
    service_seconds: float = Field(default=10, gt=0, description="how long an answer may take once the body is there")

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, url: SecretStr | None) -> SecretStr | None:
        try:
            parts = None if url is None else urlsplit(url.get_secret_value())
            fits = parts is None or (parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0)
        except ValueError:
            fits = False
        if not fits:
            raise ValueError("allowed is smtp://USER:PASSWORD@HOST:PORT or smtps://, user and port if they are needed")
        return url

    def model_post_init(self, _context: object) -> None:
        project = self.project.resolve()
        home = self.home if self.home.is_absolute() else project / self.home
        resolved = {
            "project": project,
            "home": home,
            "lake_data": (self.lake_data or home / "lake").resolve(),
            "landing": (self.landing or home / "landing").resolve(),
        }
        for name, value in resolved.items():
            object.__setattr__(self, name, value)

    @property
    def landing_dir(self) -> Path:
        assert self.landing is not None
        return self.landing

    @property
    def pages_address(self) -> str:
        return f"http://{LOOPBACK}:{self.pages_port}"

    @property
    def lake_dir(self) -> Path:
        assert self.lake_data is not None
        return self.lake_data


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: a variable does not fit; the message names it and what it takes.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "MESH_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg']}. Mend the environment variable or unset it.") from error
