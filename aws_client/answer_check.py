"""Whether what answers is AWS, and where a resource is missing: what botocore leaves out of its answers and errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_client.failures import Failure, NotAwsError, classify_code

if TYPE_CHECKING:
    from botocore.client import BaseClient


def install_answer_check(client: BaseClient) -> None:
    """Raise NotAwsError for another service's answer, and name the region where a resource is missing.

    botocore takes any text under status 200 for an answer without members, on which its callers then stumble.
    """
    region, endpoint = client.meta.region_name, client.meta.endpoint_url

    def is_an_object(response_dict: dict[str, Any], operation_model: Any, **_: object) -> None:
        status, body = response_dict["status_code"], response_dict["body"].strip()
        if status < 400 and body and not body.startswith(b"{"):
            raise NotAwsError(endpoint=endpoint, operation=operation_model.name)

    def has_members(parsed: dict[str, Any], http_response: Any, model: Any, **_: object) -> None:
        error, shape = parsed.get("Error", {}), model.output_shape
        if classify_code(error.get("Code", "")) is Failure.NOT_FOUND:
            error["Message"] = f"{error.get('Message', '')} (region {region})".strip()
        elif shape and not error and parsed.keys() <= {"ResponseMetadata"} and not _is_empty(http_response, shape):
            raise NotAwsError(endpoint=endpoint, operation=model.name)

    if client.meta.service_model.protocol == "json":
        client.meta.events.register("before-parse", is_an_object, unique_id="kinfold-object")
        client.meta.events.register("after-call", has_members, unique_id="kinfold-members")


def _is_empty(http_response: Any, shape: Any) -> bool:
    """Whether an answer is one of the operation's, with no member that has a value."""
    try:
        answer = json.loads(http_response.content or b"{}")
    except ValueError:
        return False
    return not answer or not answer.keys().isdisjoint(shape.members)
