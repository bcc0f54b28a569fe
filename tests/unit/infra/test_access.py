"""The roles: the events table is append-only for all of them, nothing is wider than it must be, and KCL has its share.

That each role allows what its service really calls is held by tests/acceptance/test_roles.py.
"""

from typing import Final

import pytest

from betting.projections import PROJECTIONS
from ledger.store.tables import Names
from tests.support.aws.permissions import kcl_needs, table_arn
from tests.support.aws.templates import ACCOUNT, Role, Statement, Template

NAMES: Final = Names("prod")
ROLES: Final = ("Writer", "Projector", "Ensure", "Watch", "Relay", "Operator")
#: Actions that know no resource.
EVERYWHERE: Final = {"dynamodb:ListTables", "kinesis:ListStreams", "cloudwatch:PutMetricData"}
CHANGES: Final = (
    *(f"dynamodb:{name}" for name in ("UpdateItem", "DeleteItem", "BatchWriteItem", "DeleteTable", "UpdateTable")),
    *(f"dynamodb:PartiQL{name}" for name in ("Insert", "Update", "Delete")),
    "dynamodb:UpdateTimeToLive",
    "dynamodb:PutResourcePolicy",
    "dynamodb:DeleteResourcePolicy",
)


def template() -> Template:
    return Template("access", Profile="prod", StreamKeyArn="arn:aws:kms:::key/k", EnhancedFanOut="true")


def role(name: str) -> Role:
    return Role(template(), f"{name}Role")


def test_every_role_is_one_that_these_tests_look_at_and_only_ecs_tasks_of_this_account_may_take_it() -> None:
    roles = template().of_type("AWS::IAM::Role")
    assert roles.keys() == {f"{name}Role" for name in (*ROLES, "Execution")}
    for each in roles.values():
        (trust,) = each["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


@pytest.mark.parametrize("name", [*ROLES, "Execution"])
def test_no_role_changes_or_deletes_an_event_and_only_the_writer_appends(name: str) -> None:
    events = table_arn(NAMES.events)
    allowed = [action for action in CHANGES if role(name).allows(action, events, whatever_the_condition=True)]
    assert allowed == []
    appends = role(name).allows("dynamodb:PutItem", events, whatever_the_condition=True)
    assert appends is (name == "Writer")


@pytest.mark.parametrize("name", [*ROLES, "Execution"])
def test_no_action_has_a_wildcard_and_no_resource_is_everything_or_another_profiles(name: str) -> None:
    for statement in role(name).statements:
        assert not any("*" in action or "?" in action for action in statement.actions), statement
        assert statement.effect == "Allow"
        if "*" in statement.resources:
            assert set(statement.actions) <= EVERYWHERE, statement
        for resource in set(statement.resources) - {"*"}:
            assert "prod" in resource or resource in {"arn:aws:kms:::key/k", "{TokensSecret}"}, statement


@pytest.mark.parametrize("name", ROLES)
def test_an_events_table_that_was_restored_under_another_name_takes_the_place_of_the_former(name: str) -> None:
    moved = Role(Template("access", Profile="prod", EventsTableSuffix=".a"), f"{name}Role")
    former, restored = table_arn(NAMES.events), table_arn(Names("prod", "domain-events-prod.a").events)
    for action in {each for statement in role(name).statements for each in statement.actions}:
        assert moved.allows(action, restored) == role(name).allows(action, former)
        assert moved.allows(action, f"{restored}/stream/x") == role(name).allows(action, f"{former}/stream/x")
        if not action.endswith("ListTables"):
            assert not action.startswith("dynamodb:") or not moved.allows(action, former)


@pytest.mark.parametrize("name", ["Projector", "Operator"])
def test_a_new_projection_is_named_in_both_roles_that_write_read_models(name: str) -> None:
    for projection in PROJECTIONS:
        rows = table_arn(projection.table("prod", 12))
        for action in ("CreateTable", "BatchGetItem", "PartiQLInsert", "PartiQLUpdate", "UpdateItem"):
            assert role(name).allows(f"dynamodb:{action}", rows), (
                f"{projection.name} is missing in infra/access.yaml: a line in the ReadModels of {name}Role"
            )
        assert role(name).allows("dynamodb:DeleteTable", rows) is (name == "Operator")


def test_the_projector_has_what_kcl_needs() -> None:
    needs = kcl_needs(NAMES)
    assert {resource.rsplit("/", 1)[-1] for _, resource in needs} >= {
        NAMES.stream,
        f"{NAMES.leases}-CoordinatorState",
        f"{NAMES.leases}-WorkerMetricStats",
        "LeaseOwnerToLeaseKeyIndex",
        "*",
    }
    missing = [need for need in needs if not role("Projector").allows(*need, whatever_the_condition=True)]
    assert missing == []


def test_without_fan_out_and_a_key_of_ones_own_nobody_has_their_permissions() -> None:
    plain = Template("access", Profile="prod")
    for name in ROLES:
        actions = {action for statement in Role(plain, f"{name}Role").statements for action in statement.actions}
        assert not any(action.startswith("kms:") or action == "kinesis:SubscribeToShard" for action in actions)
    with_key = [
        name for name in ROLES if role(name).allows("kms:Decrypt", "arn:aws:kms:::key/k", whatever_the_condition=True)
    ]
    assert with_key == ["Projector", "Ensure", "Watch", "Relay", "Operator"]


@pytest.mark.parametrize(
    ("actions", "resources", "covered"),
    [
        (("dynamodb:UpdateItem",), ("arn:t",), True),
        (("dynamodb:updateitem",), ("arn:t",), True),
        (("dynamodb:Update*",), ("*",), True),
        (("*",), ("arn:?",), True),
        (("dynamodb:Update?",), ("arn:t",), False),
        (("dynamodb:UpdateItem",), ("arn:t/index/i",), False),
        (("dynamodb:UpdateItem",), ("ARN:T",), False),
    ],
)
def test_wildcards_are_iams(actions: tuple[str, ...], resources: tuple[str, ...], covered: bool) -> None:
    assert Statement("Allow", actions, resources, conditional=False).covers("dynamodb:UpdateItem", "arn:t") is covered
