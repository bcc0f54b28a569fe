"""A role's credentials, whose source may fail for a while: endpoints of ECS, EKS and EC2, STS, a file, a process.

botocore asks the source while it makes a client, keeps what it then finds, even nothing, and passes on whatever the
source raises. Here the source is asked at the first request and, after a failure, again; credentials that cannot be
renewed are used until they end; and a source that fails raises an error of the SDK, which says that it passes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.credentials import CredentialResolver, Credentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoCredentialsError

from aws_client.credentials.instance_metadata import InstanceMetadata
from aws_client.retry import should_log
from aws_client.sdk_settings import CONFIGURED_WRONGLY, refused

if TYPE_CHECKING:
    import boto3
    from botocore.credentials import ReadOnlyCredentials

log = logging.getLogger(__name__)

#: Seconds before their end from which botocore insists on new credentials.
_RENEWED_BEFORE = 600
#: Seconds for which a failure stands, so that threads that waited for one attempt do not each make another.
_FAILURE_STANDS = 1.0


def install_patient_credentials(session: boto3.session.Session) -> None:
    """Give every client that the session makes from now on the credentials that its chain of sources finds."""
    core = session._session
    chain = core.get_component("credential_provider")
    found = PatientCredentials(chain, InstanceMetadata(core, chain))
    core.register_component("credential_provider", _Resolver(found))


class PatientCredentials(Credentials):
    """What a chain of sources finds, at the first request. Safe to share between threads.

    Raises CredentialRetrievalError for a source that fails, NoCredentialsError where none is configured,
    SettingRefusedError for one that is configured wrongly, and the SDK's other errors as they come.
    """

    def __init__(self, chain: CredentialResolver, metadata: InstanceMetadata) -> None:
        """``metadata``: the end of the chain, of which the SDK does not say that it failed."""
        self.method = "patient"
        self._chain = chain
        self._metadata = metadata
        self._lock = threading.Lock()
        self._found: Credentials | None = None
        self._frozen: ReadOnlyCredentials | None = None
        self._failure: BotoCoreError | ClientError | None = None
        self._failed_at = 0.0
        self._failures = 0

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """The credentials to sign one request with. Blocks while new ones are needed: some seconds at most."""
        if self._found is not None and not _ends_within(_RENEWED_BEFORE, self._found):
            return self._found.get_frozen_credentials()
        with self._lock:
            if self._failure is None or time.monotonic() - self._failed_at > _FAILURE_STANDS:
                self._failure = self._renew()
            if self._failure is None:
                assert self._frozen is not None
                return self._frozen
            if self._frozen is not None and self._found is not None and not _ends_within(0, self._found):
                return self._frozen
            raise self._failure

    def get_deferred_property(self, property_name: str) -> Callable[[], str | None]:
        """A property of the credentials, for the SDK's choice of an endpoint."""
        return lambda: getattr(self.get_frozen_credentials(), property_name, None)

    def _renew(self) -> BotoCoreError | ClientError | None:
        """Ask the source; why it did not give credentials, or None."""
        try:
            self._found = self._found or self._chain.load_credentials() or self._nothing_found()
            self._frozen = self._found.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001 - a source may answer anything
            self._failed_at = time.monotonic()
            self._failures += 1
            failure = _named(error)
            if should_log(self._failures):
                fields = {"action": "credentials_not_renewed", "attempt": self._failures}
                log.warning("No new credentials (attempt %d): %s", self._failures, failure, extra=fields)
            return failure
        self._failures = 0
        return None

    def _nothing_found(self) -> Credentials:
        failure = self._metadata.failure()
        if failure:
            raise CredentialRetrievalError(provider="iam-role", error_msg=failure)
        raise NoCredentialsError


class _Resolver(CredentialResolver):
    """The chain in the SDK's eyes."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__([])
        self._credentials = credentials

    def load_credentials(self) -> Credentials:
        return self._credentials


def _ends_within(seconds: int, credentials: Credentials) -> bool:
    return isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed(refresh_in=seconds)


def _named(error: Exception) -> BotoCoreError | ClientError:
    """The SDK's own error, or one for what a source let through: half an answer, an expired one, a missing file."""
    if isinstance(error, CONFIGURED_WRONGLY) or type(error) is ValueError:  # its subclasses are about an answer
        return refused(error)
    if isinstance(error, BotoCoreError | ClientError):
        return error
    return CredentialRetrievalError(provider="configured source", error_msg=f"{type(error).__name__}: {error}")
