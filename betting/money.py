"""Money: decimal amounts of at most two places, and the currencies an account can be held in.

An amount is a ``Decimal`` everywhere and a string in JSON, never a float: 0.1 has no binary form.
"""

import re
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, PlainSerializer, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from ledger.aggregates import Explained

#: ISO 4217 currencies whose minor unit has two places, as our amounts have. A currency of no or three places
#: (JPY, KWD) would let an amount through that cannot be paid out.
CurrencyCode = Literal[
    "AED", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BMD", "BND", "BOB",
    "BRL", "BSD", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY", "COP", "CRC", "CVE", "CZK", "DKK", "DOP", "DZD",
    "EGP", "ETB", "EUR", "FJD", "GBP", "GEL", "GHS", "GMD", "GTQ", "HKD", "HNL", "HUF", "IDR", "ILS", "INR", "JMD",
    "KES", "KGS", "KHR", "KZT", "LBP", "LKR", "LRD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MUR", "MVR",
    "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN",
    "QAR", "RON", "RSD", "SAR", "SCR", "SEK", "SGD", "SRD", "SZL", "THB", "TJS", "TOP", "TRY", "TTD", "TWD", "TZS",
    "UAH", "USD", "UYU", "UZS", "VES", "WST", "XCD", "YER", "ZAR", "ZMW",
]  # fmt: skip
Currency = Annotated[
    CurrencyCode,
    Explained(
        "not a currency that an account can be held in: send an ISO 4217 code in capitals whose minor unit has two "
        'places, such as "EUR", "USD" or "GBP"'
    ),
    Field(description="ISO 4217, two decimal places", examples=["EUR"]),
]

#: What is read as an amount: no sign, no exponent, no NaN; at most twelve digits before the point and two after.
#: The 28 digits of Python's decimal context then hold the exact sum of 10**14 such amounts.
AMOUNT_PATTERN: Final = r"^[0-9]{1,12}(\.[0-9]{1,2})?$"
_AMOUNT = re.compile(AMOUNT_PATTERN, re.ASCII)

ZERO: Final = Decimal("0.00")


def parse_amount(value: object) -> Decimal:
    """Read an amount from a string or an exact Decimal.

    Raises ValueError (which pydantic reports) for a JSON number, a sign, an exponent, NaN, three places, or more
    than twelve digits before the point. Zero passes: a payout may be 0; positive is the account's rule.
    """
    text = format(value, "f") if isinstance(value, Decimal) else value
    if not isinstance(text, str):
        raise ValueError('an amount is a string such as "12.50": a JSON number may already have lost a digit')  # noqa: TRY004
    if not _AMOUNT.fullmatch(text):
        raise ValueError('an amount has one to twelve digits and at most two decimal places, such as "12.50"')
    return Decimal(text)


def format_amount(amount: Decimal) -> str:
    """Write an amount or a balance with its two places: ``12.50``."""
    return f"{amount:.2f}"


class _Read:
    """Reads an amount by ``parse_amount``; in JSON, as an event has it, by the same rules in pydantic's own code."""

    @staticmethod
    def __get_pydantic_core_schema__(_source: object, _handler: object) -> CoreSchema:
        text = core_schema.str_schema(pattern=AMOUNT_PATTERN, strict=True)
        in_json = core_schema.custom_error_schema(
            core_schema.chain_schema([text, core_schema.decimal_schema()]),
            custom_error_type="amount",
            custom_error_message='an amount is a string of up to twelve digits and two decimal places, such as "12.50"',
        )
        return core_schema.json_or_python_schema(in_json, core_schema.no_info_plain_validator_function(parse_amount))


Amount = Annotated[
    Decimal,
    _Read,
    PlainSerializer(format_amount, return_type=str),
    WithJsonSchema({"type": "string", "pattern": AMOUNT_PATTERN, "examples": ["12.50"]}),
]
