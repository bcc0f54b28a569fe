import hashlib
import hmac

import pytest
from structlog.testing import capture_logs

from ledger.errors import ConfigurationError
from ledger.runtime.auth import (
    ANYBODY,
    Access,
    Credential,
    MissingScopeError,
    Principal,
    Scope,
    UnauthenticatedError,
    digest,
    new_token,
)
from ledger.runtime.request.head import RequestHead
from ledger.runtime.settings import GuardedSettings, load_settings

#: As new_token makes them, but the same in every run: it names tests.
TOKEN, OTHER = "kf_" + "Az09-_" * 7 + "x", "kf_" + "za90_-" * 7 + "y"
SHOP = Credential(Principal("shop", frozenset({Scope.READ, Scope.WRITE})), digest(TOKEN))
SIGNED = RequestHead("GET", "/x", "", [("authorization", f"Bearer {TOKEN}")])
OPS = Credential(Principal("ops", frozenset({Scope.OPERATE})), digest(OTHER))


def test_a_token_tells_who_calls_and_what_is_allowed() -> None:
    access = Access([SHOP, OPS])
    shop = access.verify(f"Bearer {TOKEN}")
    assert (shop.name, shop.scopes) == ("shop", frozenset({Scope.READ, Scope.WRITE}))
    assert access.admit(SIGNED, Scope.READ) == shop
    assert access.verify(f"bearer   {OTHER} ").name == "ops", "RFC 9110: a scheme's case does not matter"


def test_no_scope_includes_another() -> None:
    for held in Scope:
        access = Access([Credential(Principal("p", frozenset({held})), digest(TOKEN))])
        for asked in Scope:
            if held is asked:
                access.admit(SIGNED, asked)
            else:
                with pytest.raises(MissingScopeError, match=f"token p does not have the scope {asked}"):
                    access.admit(SIGNED, asked)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN},Bearer {TOKEN}",
        f"Bearer {TOKEN}\nx",
        "Bearer " + digest(TOKEN).hex(),
        "Bearer " + "a" * 100_000,
        "Bearer t\u00f6ken",
    ],
)
def test_everything_else_is_nobody_and_is_not_repeated(header: str | None) -> None:
    with pytest.raises(UnauthenticatedError) as error:
        Access([SHOP, OPS]).verify(header)
    assert TOKEN not in str(error.value)
    assert len(str(error.value)) < 200


def test_every_hash_is_compared_whichever_token_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(known: bytes, given: bytes) -> bool:
        compared.append(known)
        return known == given

    monkeypatch.setattr(hmac, "compare_digest", compare)
    Access([SHOP, OPS]).verify(f"Bearer {TOKEN}")
    assert compared == [SHOP.digest, OPS.digest]


def test_settings_hold_a_hash_and_no_token() -> None:
    line = str(SHOP)
    assert line == f"shop:read+write:{hashlib.sha256(TOKEN.encode()).hexdigest()}"
    assert Credential.parse(line) == SHOP
    assert len({new_token() for _ in range(100)}) == 100
    assert len(TOKEN) > 43


@pytest.mark.parametrize(
    "line", ["", "shop", TOKEN, "shop:read", "shop:fly:" + "a" * 64, "shop::" + "a" * 64, "a b:read:" + "a" * 64]
)
def test_a_line_that_is_no_credential_is_refused_and_not_repeated(line: str) -> None:
    with pytest.raises(ValueError) as error:
        Credential.parse(line)
    assert TOKEN not in str(error.value)


def guard(profile: str, host: str, *tokens: Credential, access: str = "tokens") -> Access:
    given = {"profile": profile, "endpoint_url": "http://aws", "tokens": " ".join(map(str, tokens)), "access": access}
    return GuardedSettings.model_validate(given).guard(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_without_tokens_it_is_open_on_loopback_in_profile_local_alone(host: str) -> None:
    assert guard("local", host).verify(None) == ANYBODY
    for profile, elsewhere in (("production", host), ("local", "0.0.0.0"), ("local", "::"), ("local", "10.0.0.7")):
        with pytest.raises(ConfigurationError, match="KINFOLD_ACCESS=off"):
            guard(profile, elsewhere)


def test_tokens_count_even_in_profile_local_and_off_is_off_everywhere() -> None:
    assert not guard("local", "127.0.0.1", SHOP).open
    assert guard("production", "0.0.0.0", access="off").open
    with pytest.raises(ConfigurationError, match="one name"):
        guard("p", "h", SHOP, SHOP)


def test_tokens_that_nobody_asks_for_are_warned_of() -> None:
    with capture_logs() as logs:
        assert guard("production", "0.0.0.0", SHOP, access="off").open
        assert guard("production", "0.0.0.0", access="off").open
    assert [(each["event"], each["log_level"]) for each in logs] == [("tokens_without_effect", "warning")]


class TestSettings:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KINFOLD_PROFILE", "unit")
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        for name in ("KINFOLD_TOKENS", "KINFOLD_ACCESS"):
            monkeypatch.delenv(name, raising=False)

    @pytest.mark.parametrize("joint", [",", " ", "\n", ", ", ",\n  "])
    def test_tokens_are_read_from_one_variable(self, monkeypatch: pytest.MonkeyPatch, joint: str) -> None:
        monkeypatch.setenv("KINFOLD_TOKENS", f"{SHOP}{joint}{OPS}{joint}")
        settings = load_settings(GuardedSettings)
        assert settings.tokens == (SHOP, OPS)
        assert settings.guard("0.0.0.0").verify(f"Bearer {TOKEN}") == SHOP.principal

    def test_without_any_the_service_does_not_start(self) -> None:
        with pytest.raises(ConfigurationError, match="kinfold token"):
            load_settings(GuardedSettings).guard("127.0.0.1")

    def test_off_is_explicit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KINFOLD_ACCESS", "off")
        assert load_settings(GuardedSettings).guard("0.0.0.0").open
        monkeypatch.setenv("KINFOLD_ACCESS", "false")
        with pytest.raises(ConfigurationError, match="KINFOLD_ACCESS='false'"):
            load_settings(GuardedSettings)

    def test_a_token_set_by_mistake_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KINFOLD_TOKENS", TOKEN)
        with pytest.raises(ConfigurationError, match=r"KINFOLD_TOKENS: a token is given as") as error:
            load_settings(GuardedSettings)
        assert TOKEN not in str(error.value)
