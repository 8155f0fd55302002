"""Reading the metrics page as Prometheus does."""

import socket
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

Sample = tuple[str, tuple[tuple[str, str], ...]]


def page(address: str) -> str:
    """The page of metrics at host:port."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def samples(text: str) -> dict[Sample, float]:
    """Every sample of a page, by its name and its labels in order."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float | None:
    """The value of one sample, None if the page does not have it."""
    return samples(text).get((name, tuple(sorted(labels.items()))))


def free_port() -> int:
    """A port that nobody has, for a server in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
