"""What the console counts of itself."""

from prometheus_client import CollectorRegistry, Counter


class Metrics:
    """The console's counters, named ``kinfold_console_...``, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.responses = Counter(
            "kinfold_console_responses", "HTTP responses by status.", ["status"], registry=self.registry
        )
        self.aws_calls = Counter(
            "kinfold_console_aws_calls", "Calls to AWS by operation.", ["operation"], registry=self.registry
        )
        self.refused_sign_ins = Counter(
            "kinfold_console_refused_sign_ins",
            "Attempts to sign in with no token that is known.",
            registry=self.registry,
        )
        self.operations = Counter(
            "kinfold_console_operations", "Commands that were run, by exit code.", ["code"], registry=self.registry
        )
