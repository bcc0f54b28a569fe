"""How a domain is served over HTTP: what the writer's routes, its OpenAPI document and its refusals are made of."""

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel, to_snake

from ledger.aggregates.aggregate_type import AggregateType
from ledger.aggregates.errors import RefusedError
from ledger.aggregates.events import Event
from ledger.aggregates.identifiers import TYPE_NAME

S = TypeVar("S")

_PLACE = re.compile(r"\{(\w+)\}")
#: What the writer serves beside its resources.
_OWN_PATHS: Final = frozenset({"docs", "health", "metrics", "ready"})


class Command(BaseModel, Generic[S]):
    """What a client may ask of an aggregate: the fields of a request, and what becomes of it.

    A request may carry an ``Idempotency-Key``, then the command takes effect once however often it is sent, and
    ``If-Match``, then it is carried out on that version only. Commands that meet at one aggregate are decided one after
    the other and stored together.

    Validators of the class are asked once every field has been read, also those that pydantic would ask before: what
    they refuse is a 400 that names the field.

    The docstring's first line is the operation's summary in the OpenAPI document, the rest its description.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    #: In metrics, in the log and in the fingerprint of an idempotency key; of the class's name unless given.
    name: ClassVar[str]
    #: Below the aggregate, such as ``/orders/{orderId}/lines``; a name in braces is a field, by its JSON name. All
    #: other fields are the request's body.
    path: ClassVar[str]
    method: ClassVar[Literal["POST", "PUT", "PATCH", "DELETE"]] = "POST"
    #: The rules that may refuse it, for the OpenAPI document.
    refusals: ClassVar[tuple[type[RefusedError], ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Name the command after its class."""
        super().__pydantic_init_subclass__(**options)
        if "name" not in cls.__dict__:
            cls.name = to_snake(cls.__name__)

    @abstractmethod
    def decide(self, state: S) -> Sequence[Event]:
        """The events that the command brings about, one at least; changes nothing. Raises RefusedError.

        Called anew, with a newer state, when another writer was faster.
        """
        ...

    def used_id(self, state: S) -> str | None:  # noqa: ARG002 - for those who have one
        """The id that may be used once only and has to be known of before it is decided, if it is not in the state."""
        return None

    @classmethod
    def places(cls) -> list[str]:
        """The fields that are in the path, by their names in Python."""
        aliases = {to_camel(name): name for name in cls.model_fields}
        return [aliases[place] for place in _PLACE.findall(cls.path)]


class View(BaseModel, Generic[S]):
    """What a client is shown of a state, beside the aggregate's id and version."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    @classmethod
    def of(cls, state: S) -> Self:
        """Show a state: its attributes of these names, unless a class says otherwise."""
        return cls.model_validate(state, from_attributes=True)


@dataclass(frozen=True, kw_only=True)
class Resource(Generic[S]):
    """An aggregate type over HTTP: ``/{path}/{id}``, its ``/events``, its ``/history``, and its commands."""

    aggregate: AggregateType[S, Any]
    #: Such as ``accounts``.
    path: str
    commands: tuple[type[Command[S]], ...]
    #: What ``GET`` answers, beside the id and the version.
    view: type[View[S]]
    #: What the answer to a command shows beside its events; ``view`` unless given.
    brief: type[View[S]] | None = None
    #: What a client is told of an aggregate that has no events: how it comes to be.
    begins: str = ""
    example_id: str = "alice"

    def __post_init__(self) -> None:
        """Raises TypeError for a path that cannot be, commands that are alike, a view that no answer shows."""
        if not TYPE_NAME.fullmatch(self.path) or self.path in _OWN_PATHS:
            raise TypeError(f"resource {self.path!r}: a path is lower case letters, digits, hyphens, and none of ours")
        for told in (lambda each: each.name, lambda each: f"{each.method} {each.path}"):
            given = [told(each) for each in self.commands]
            if same := [each for each in given if given.count(each) > 1]:
                raise TypeError(f"resource {self.path}: two commands are {same[0]}")
        own = {self.aggregate.id_name, "version", "events"}
        for view in filter(None, (self.view, self.brief)):
            if twice := own & {to_camel(name) for name in view.model_fields}:
                raise TypeError(
                    f"resource {self.path}: an answer has {', '.join(sorted(twice))} beside its {view.__name__}"
                )
            decorators = view.__pydantic_decorators__
            if decorators.field_serializers or decorators.model_serializers or decorators.computed_fields:
                raise TypeError(
                    f"resource {self.path}: {view.__name__} has serializers or computed fields, which no answer shows: "
                    "annotate the field (PlainSerializer), or compute it in `of`"
                )
