"""What alarms go by is told from the start: no increase is seen in a counter that begins at 1."""

from prometheus_client import generate_latest

from writer.metrics import OUTCOMES, Metrics


def test_what_can_fail_is_counted_from_nought() -> None:
    metrics = Metrics()
    metrics.declare(["deposit"])
    told = generate_latest(metrics.registry).decode()
    for outcome in OUTCOMES:
        assert f'kinfold_writer_commands_total{{command="deposit",outcome="{outcome}"}} 0.0' in told
    for sample in (
        'responses_total{status="500"}',
        'responses_total{status="503"}',
        'requests_turned_away_total{reason="queue_full"}',
        'requests_turned_away_total{reason="waited_too_long"}',
    ):
        assert f"kinfold_writer_{sample} 0.0" in told
