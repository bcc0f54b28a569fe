"""Settings of the console."""

from typing import Annotated, Any

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from projector.settings import ProjectorSettings


def _parted(value: Any) -> Any:
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


Urls = Annotated[tuple[AnyHttpUrl, ...], NoDecode, BeforeValidator(_parted)]


class ConsoleSettings(ProjectorSettings):
    """What ``kinfold console serve`` reads from the environment: the projector's settings, and its own."""

    console_host: str = Field("127.0.0.1", min_length=1, description="address of the console's web server")
    console_port: int = Field(6070, ge=0, le=65535, description="port of the console's web server; 0 takes a free one")
    console_services: Urls = Field(
        (), description="URLs of the writers, projectors, watch and relay whose /metrics it shows, parted by commas"
    )
    console_token: SecretStr = Field(
        SecretStr(""), description="a token with scope operate for the services' /metrics, where they ask for one"
    )
    console_session: int = Field(
        43_200, ge=60, le=604_800, description="seconds after which whoever signed in must sign in again"
    )
    console_https: bool = Field(
        False, description="whether browsers reach it by https, through a proxy: its cookies are then Secure"
    )
