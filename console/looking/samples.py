"""What a service tells at ``/metrics``, sample by sample."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

#: Lines that nobody here asks for, and most of an answer: comments, buckets, times, what the runtime tells of itself.
_UNASKED: Final = re.compile(r"#|\w+_(?:bucket|created)[{ ]|python_|process_")


def samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """The samples of counters and gauges, and the sums and counts of others: name, labels, value. Raises ValueError."""
    asked = "\n".join(line for line in text.splitlines() if not _UNASKED.match(line))
    for family in text_string_to_metric_families(asked + "\n"):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
