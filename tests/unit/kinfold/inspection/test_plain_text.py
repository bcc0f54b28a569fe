"""What a ledger holds is shown by a terminal, and not obeyed."""

from kinfold.inspection.plain_text import event_json, event_line, plain
from tests.support.accounts import stored_event


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert plain("a\x1b[2J\x07\x9b\u202e\ud800z") == "a\\x1b[2J\\x07\\x9b\\u202e\\ud800z"
    assert plain("Grüße, 東京") == "Grüße, 東京"


def test_an_event_is_a_line_whatever_it_holds() -> None:
    line = event_line(stored_event("alice", 3, '{"name": "J\\u00fcrgen \\u001b]0;x\\u0007"}', event_type="A\nB"))
    assert line.endswith('alice  3  A\\nB  {"name": "Jürgen \\u001b]0;x\\u0007"}')
    assert line.isprintable()


def test_a_payload_that_is_no_json_is_text() -> None:
    assert event_json(stored_event(payload="{"))["payload"] == "{"
