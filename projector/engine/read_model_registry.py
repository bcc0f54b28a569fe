"""The read models in use: every registered projection, in the generations that its control row names."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from projector.engine.control_rows import Control, ControlView
from projector.engine.read_model import ReadModel
from projector.projection import Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ReadModels:
    """Read models by projection and generation; each is made once."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        profile: str,
        projections: Iterable[Projection[Any]],
        view: ControlView,
        executor: Executor,
    ) -> None:
        self.projections = {projection.name: projection for projection in projections}
        self._dynamodb = dynamodb
        self._profile = profile
        self._view = view
        self._executor = executor
        self._models: dict[tuple[str, int], ReadModel[Any]] = {}

    def model(self, projection: Projection[Any], generation: int) -> ReadModel[Any]:
        """One generation's read model."""
        key = (projection.name, generation)
        if key not in self._models:
            table = projection.table(self._profile, generation)
            self._models[key] = ReadModel(self._dynamodb, projection, table, self._executor, generation=generation)
        return self._models[key]

    def active(self, projection: Projection[Any]) -> ReadModel[Any]:
        """What readers see, at most two seconds behind a flip. Raises as ``ControlView.current`` does."""
        return self.model(projection, self._view.current()[projection.name].active)

    def controls(self) -> Mapping[str, Control]:
        """Each projection's control row, at most two seconds old. Raises as ``ControlView.current`` does."""
        return self._view.current()

    def refresh(self) -> None:
        """Read the control rows now. Raises as ``ControlView.refresh`` does."""
        self._view.refresh()

    def fed(self) -> list[ReadModel[Any]]:
        """What workers write to, of every projection. Raises as ``ControlView.current`` does.

        The newest generation first: so an aggregate is never further in the old one than in the one that a rebuild is
        about to show, and a reader sees no version go back at the flip.
        """
        current = self._view.current()
        return [
            self.model(projection, generation)
            for name, projection in self.projections.items()
            for generation in sorted(current[name].fed, reverse=True)
        ]
