"""The read models in infra/access.yaml: whose tables the projector and an operator may use."""

import re
from collections.abc import Iterable
from typing import Final

from ledger.errors import ConfigurationError

_LIST: Final = re.compile(r"(- Sid: ReadModels\n(?:.*\n)*? +Resource:\n)( +)- .*\n(?:\2- .*\n)*")
_TABLE: Final = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table"


def with_read_models(template: str, projections: Iterable[str]) -> str:
    """The template with these projections' tables in each statement ``ReadModels``, and no other.

    Raises ConfigurationError for a template without such a statement.
    """
    names = list(projections)

    def listed(found: re.Match[str]) -> str:
        return found[1] + "".join(f'{found[2]}- !Sub "{_TABLE}/{name}-${{Profile}}-*"\n' for name in names)

    written, count = _LIST.subn(listed, template)
    if not count:
        raise ConfigurationError("the template has no statement ReadModels: give it infra/access.yaml")
    return written
