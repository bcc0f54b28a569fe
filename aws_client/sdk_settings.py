"""What the AWS SDK refuses of its own settings, in one error that names the setting.

The SDK reads some fifty variables and two files, and refuses one in errors of twenty classes, most of which quote the
value alone. So the variable is looked for by its value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    InvalidConfigError,
    InvalidRegionError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    UnknownCredentialError,
)

#: What a source of credentials raises where it is configured wrongly.
CONFIGURED_WRONGLY = (ConfigNotFound, ConfigParseError, InvalidConfigError, ProfileNotFound, UnknownCredentialError)
_CONFIG_FILES = "AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE (~/.aws/config and ~/.aws/credentials by default)"
#: The setting at fault where its value is not quoted: empty, a default, or written in another way.
_SETTINGS: tuple[tuple[type[Exception], str], ...] = (
    (ProfileNotFound, "AWS_PROFILE"),
    (ConfigParseError, _CONFIG_FILES),
    (ConfigNotFound, _CONFIG_FILES),
    (InvalidRegionError, "AWS_REGION"),
    (NoRegionError, "AWS_REGION"),
)
_SETTING_OF_TEXT = {
    "Invalid endpoint": "AWS_ENDPOINT_URL",
    "Unsupported host": "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "Auth token": "AWS_CONTAINER_AUTHORIZATION_TOKEN or AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
}
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_CONTAINER_AUTHORIZATION_TOKEN")


class SettingRefusedError(BotoCoreError):
    """The AWS SDK cannot work with one of its settings: a variable AWS_..., or what its files say."""

    fmt = "{setting} cannot be used: {reason}"


@contextmanager
def refused_settings_named() -> Iterator[None]:
    """Make sessions and clients in the block: what the SDK refuses of its settings is raised as SettingRefusedError.

    Also what it would find out only when it signs a request: a line end in a region, a key or a token, which a file
    of settings made on Windows leaves there.
    """
    names = [name for name, value in _variables().items() if not value.isprintable()]
    if names:
        raise SettingRefusedError(setting=" and ".join(names), reason="a line end or another control character in it")
    try:
        yield
    except (SettingRefusedError, ClientError):
        raise
    except (BotoCoreError, ValueError, KeyError, TypeError, OSError) as error:
        raise refused(error) from error


def refused(error: Exception) -> SettingRefusedError:
    """The SDK's error about a setting, with the setting's name."""
    return SettingRefusedError(setting=_setting_in(error), reason=error)


def _setting_in(error: Exception) -> str:
    if isinstance(error, PartialCredentialsError):
        return str(error.kwargs["cred_var"])
    quoted = [name for name, value in _variables().items() if name not in _SECRETS and _quotes(error, value)]
    known = [name for kind, name in _SETTINGS if isinstance(error, kind)]
    known += [name for text, name in _SETTING_OF_TEXT.items() if str(error).startswith(text)]
    return " or ".join(quoted or known) or f"a variable AWS_..., {_CONFIG_FILES}"


def _quotes(error: Exception, value: str) -> bool:
    return bool(value) and re.search(rf"(?<!\w){re.escape(value.rstrip('/'))}(?!\w)", str(error)) is not None


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
