from dataclasses import replace
from typing import Any

import pytest
from pydantic import create_model

from betting.account import Account
from betting.resources import ACCOUNTS
from writer import View


@pytest.mark.parametrize("name", ["version", "events", "account_id"])
def test_a_view_has_no_field_that_every_answer_has_already(name: str) -> None:
    make: Any = create_model
    view = make("Shown", __base__=View[Account], **{name: (int, 1)})
    with pytest.raises(TypeError, match="resource accounts: an answer has"):
        replace(ACCOUNTS, view=view)
    with pytest.raises(TypeError, match="beside its Shown"):
        replace(ACCOUNTS, brief=view)
