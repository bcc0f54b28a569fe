"""CloudFormation templates of ``infra/``: read and resolved, and what the IAM roles in them allow.

As much of CloudFormation and of IAM's evaluation as these templates use, and no more: what is not known is an error.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

INFRA: Final = Path(__file__).parents[3] / "infra"
#: In the order in which they are deployed.
TEMPLATES: Final = ("data", "access", "services", "projector", "alarms")
REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"
_PSEUDO: Final = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::NoValue": None}


class _Loader(yaml.SafeLoader):
    """Reads the short form of CloudFormation's functions, such as ``!Sub``, as the long one."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _function)


@cache
def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return read


class Template:
    """One template with parameters given; those that are not have their default, or ``{name}`` when they have none."""

    def __init__(self, name: str, **parameters: Any) -> None:
        self.path = INFRA / f"{name}.yaml"
        self.raw = _read(self.path)
        declared = self.raw.get("Parameters", {})
        assert parameters.keys() <= declared.keys(), f"{self.path.name} has no {parameters.keys() - declared.keys()}"
        self._values = _PSEUDO | {
            name: parameters.get(name, each.get("Default", f"{{{name}}}")) for name, each in declared.items()
        }

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """What is created, by logical id: functions resolved, and without what a condition leaves out."""
        declared: dict[str, dict[str, Any]] = self.raw["Resources"]
        return {
            name: self.resolve(each)
            for name, each in declared.items()
            if "Condition" not in each or self._holds(each["Condition"])
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of the created resources of one type, by logical id."""
        return {name: each["Properties"] for name, each in self.resources.items() if each["Type"] == kind}

    @property
    def exports(self) -> set[str]:
        """The names under which other templates may import something of this one."""
        outputs = self.resolve(self.raw.get("Outputs", {})).values()
        return {output["Export"]["Name"] for output in outputs if "Export" in output}

    def resolve(self, value: Any) -> Any:
        """The value with its functions carried out. What only AWS knows stays as ``{name}``."""
        if isinstance(value, list):
            return [found for each in value if (found := self.resolve(each)) is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (name := next(iter(value))) in _FUNCTIONS:
            return _FUNCTIONS[name](self, value[name])
        resolved = {key: self.resolve(each) for key, each in value.items()}
        return {key: each for key, each in resolved.items() if each is not None}

    def _ref(self, name: str) -> Any:
        return self._values.get(name, f"{{{name}}}")

    def _sub(self, text: str) -> str:
        return re.sub(r"\$\{([^}!]+)\}", lambda found: str(self._ref(found[1])), text)

    def _if(self, parts: list[Any]) -> Any:
        condition, then, other = parts
        return self.resolve(then if self._holds(condition) else other)

    def _holds(self, condition: str) -> bool:
        return self._is_true(self.raw["Conditions"][condition])

    def _is_true(self, test: dict[str, Any]) -> bool:
        match test:
            case {"Fn::Equals": [left, right]}:
                return str(self.resolve(left)) == str(self.resolve(right))
            case {"Fn::Not": [inner]}:
                return not self._is_true(inner)
            case {"Condition": str(name)}:
                return self._holds(name)
        raise NotImplementedError(f"{self.path.name}: condition {test}")


_FUNCTIONS: Final[Mapping[str, Any]] = {
    "Ref": Template._ref,
    "Fn::Sub": Template._sub,
    "Fn::If": Template._if,
    "Fn::Join": lambda template, given: template.resolve(given[1]),
    "Fn::Split": lambda template, given: template.resolve(given[1]),
    "Fn::GetAtt": lambda _, name: f"{{{name}}}",
    "Fn::ImportValue": lambda template, name: f"{{import {template.resolve(name)}}}",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditional: bool

    def covers(self, action: str, resource: str) -> bool:
        """Whether it is about this action on this resource, its condition aside. Actions know no case."""
        return any(_matches(each.lower(), action.lower()) for each in self.actions) and any(
            _matches(each, resource) for each in self.resources
        )


class Role:
    """What one role may do: its own policies, and those of the template that are attached to it."""

    def __init__(self, template: Template, logical_id: str) -> None:
        documents = [
            policy["PolicyDocument"] for policy in template.of_type("AWS::IAM::Role")[logical_id].get("Policies", [])
        ]
        for policy in template.of_type("AWS::IAM::ManagedPolicy").values():
            if f"{{{logical_id}}}" in policy["Roles"]:
                documents.append(policy["PolicyDocument"])
        self.statements = [each for document in documents for each in statements(document)]

    def allows(self, action: str, resource: str, *, whatever_the_condition: bool = False) -> bool:
        """IAM's rule: something allows it, and nothing denies it.

        A statement with a condition counts only ``whatever_the_condition``: for proving that nothing is allowed.
        """
        about = [each for each in self.statements if each.covers(action, resource)]
        return not any(each.effect == "Deny" and not each.conditional for each in about) and any(
            each.effect == "Allow" and (whatever_the_condition or not each.conditional) for each in about
        )


def statements(document: Mapping[str, Any]) -> Iterator[Statement]:
    """The statements of a policy document."""
    for each in document["Statement"]:
        assert each.keys() <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}, each.keys()
        yield Statement(each["Effect"], _several(each["Action"]), _several(each["Resource"]), "Condition" in each)


def _several(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: ``*`` for any run of characters, ``?`` for one."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None
