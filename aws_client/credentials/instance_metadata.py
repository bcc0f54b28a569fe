"""EC2's metadata service, last in the SDK's chain of sources: does it fail at the moment, or is there none?

The SDK takes every failure of its first look for "no credentials", so that a laptop, which has no such service, is told
at once. Whether there is one is told by what it answered, by a setting that names it, or by the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.credentials import CredentialResolver, InstanceMetadataProvider
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, EndpointConnectionError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.session import Session

_SETTINGS = ("ec2_metadata_service_endpoint", "ec2_metadata_service_endpoint_mode")
#: Where Linux says that the machine is one of EC2's, and how it begins: on Nitro and on Xen.
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html
_MACHINE = {"/sys/class/dmi/id/sys_vendor": "amazon ec2", "/sys/hypervisor/uuid": "ec2"}
_NOT_THERE = (ConnectTimeoutError, EndpointConnectionError)


class InstanceMetadata:
    """Listens to what the chain's look at the metadata service comes to."""

    def __init__(self, session: Session, chain: CredentialResolver) -> None:
        self._configured = any(session.get_config_variable(name) for name in _SETTINGS)
        self._heard: AWSResponse | BotoCoreError | None = None
        for provider in chain.providers:
            if isinstance(provider, InstanceMetadataProvider):
                fetcher: Any = vars(provider)["_role_fetcher"]
                self._send = fetcher._session.send
                fetcher._session.send = self._listen

    def failure(self) -> str:
        """How the service failed when it was last asked; "" where it was not, or there is none, or it has no role."""
        match self._heard:
            case None:
                return ""
            case BotoCoreError() as error:
                fails = self._configured or not isinstance(error, _NOT_THERE) or _is_of_ec2()
                return f"the metadata service does not answer: {error}" if fails else ""
            case answer:
                # 404: the instance has no role; another cloud's service answers in the four hundreds too.
                fails = self._configured or not 400 <= answer.status_code < 500 or answer.status_code == 429
                return f"the metadata service gives none (HTTP status {answer.status_code})" if fails else ""

    def _listen(self, request: AWSPreparedRequest) -> AWSResponse:
        try:
            answer: AWSResponse = self._send(request)
        except BotoCoreError as error:
            self._heard = error
            raise
        self._heard = answer
        return answer


def _is_of_ec2() -> bool:
    for name, start in _MACHINE.items():
        try:
            if Path(name).read_text(encoding="ascii", errors="replace").lower().startswith(start):
                return True
        except OSError:
            continue  # no such file: another kind of machine
    return False
