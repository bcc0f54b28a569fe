"""The production template's tables are the code's, attribute by attribute, and its stream is the code's too."""

from typing import Any

import pytest

from aws_client.tables import TableSpec
from kinfold.tables import all_specs
from ledger.store.tables import Names
from stream_bridge.provisioning.destination import PRECISION
from tests.support.aws.templates import Statement, Template, statements

PROFILE = "prod"
NAMES = Names(PROFILE)
#: What the template adds to what the code asks of a table.
OPERATIONAL = {"DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "KinesisStreamSpecification"}
FOREVER = {NAMES.events, NAMES.dead_letters, NAMES.audit}


def tables(**parameters: Any) -> dict[str, dict[str, Any]]:
    found = Template("data", Profile=PROFILE, **parameters).of_type("AWS::DynamoDB::Table").values()
    return {table["TableName"]: table for table in found}


def as_created(table: dict[str, Any]) -> dict[str, Any]:
    """What CloudFormation asks CreateTable and UpdateTimeToLive for, in the words of ``TableSpec.request``."""
    asked = {name: each for name, each in table.items() if name not in OPERATIONAL | {"ResourcePolicy"}}
    if "StreamSpecification" in asked:
        asked["StreamSpecification"] = {"StreamEnabled": True, **asked["StreamSpecification"]}
    return asked


def as_coded(spec: TableSpec) -> dict[str, Any]:
    expiry = {"TimeToLiveSpecification": {"AttributeName": spec.expiry, "Enabled": True}} if spec.expiry else {}
    return spec.request() | expiry


def test_every_table_of_the_code_is_in_the_template_just_as_the_code_makes_it() -> None:
    coded = {spec.name: as_coded(spec) for spec in all_specs(NAMES)}
    assert {name: as_created(table) for name, table in tables().items()} == coded


def test_every_name_of_the_code_has_its_table() -> None:
    named = {getattr(NAMES, name) for name, of in vars(Names).items() if isinstance(of, property)}
    assert named <= tables().keys()


def test_what_cannot_be_made_anew_outlives_the_stack_and_can_be_restored_and_nothing_else_does() -> None:
    resources = Template("data", Profile=PROFILE).resources.values()
    for resource in resources:
        if resource["Type"] == "AWS::DynamoDB::Table":
            table = resource["Properties"]
            kept = table["TableName"] in FOREVER
            expected = "Retain" if kept else "Delete"
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == (expected, expected)
            assert table.get("DeletionProtectionEnabled", False) is kept
            recovery = table.get("PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": False})
            assert recovery == {"PointInTimeRecoveryEnabled": kept}


def test_the_stream_is_named_encrypted_and_kept_as_told() -> None:
    given = Template("data", Profile=PROFILE, Shards=4, RetentionHours=48, StreamKey="alias/mine")
    (stream,) = given.of_type("AWS::Kinesis::Stream").values()
    assert stream == {
        "Name": NAMES.stream,
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "ShardCount": 4,
        "RetentionPeriodHours": 48,
        "StreamEncryption": {"EncryptionType": "KMS", "KeyId": "alias/mine"},
    }
    (stream,) = Template("data", Profile=PROFILE, Shards=0).of_type("AWS::Kinesis::Stream").values()
    assert stream["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert "ShardCount" not in stream


def test_the_destination_is_the_codes_and_is_left_off_for_the_relay() -> None:
    destination = {"StreamArn": "{Stream.Arn}", "ApproximateCreationDateTimePrecision": PRECISION}
    assert tables(Bridge="native")[NAMES.events]["KinesisStreamSpecification"] == destination
    assert not any("KinesisStreamSpecification" in table for table in tables(Bridge="relay").values())


@pytest.mark.parametrize("action", ["UpdateItem", "DeleteItem", "BatchWriteItem", "UpdateTimeToLive"])
@pytest.mark.parametrize("table", [NAMES.events, NAMES.snapshots])
def test_the_events_table_itself_denies_everybody_what_changes_or_deletes_an_event(action: str, table: str) -> None:
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}"
    denied: list[Statement] = []
    for each in tables().values():
        if "ResourcePolicy" in each:
            document = each["ResourcePolicy"]["PolicyDocument"]
            assert [statement["Principal"] for statement in document["Statement"]] == ["*"]
            denied += [one for one in statements(document) if one.effect == "Deny" and not one.conditional]
    assert any(each.covers(f"dynamodb:{action}", arn) for each in denied) is (table == NAMES.events)
