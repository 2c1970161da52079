"""Write docs/reference/semconv.md from `lmspan.semconv`: python docs/reference/make_semconv.py"""

from pathlib import Path

from lmspan import semconv as sc

PAGE = Path(__file__).with_name("semconv.md")

HEAD = """\
# Names

Every attribute, event and metric that `lmspan` emits. `make_semconv.py` writes this page from `lmspan/semconv/`.
Attributes with the mark *(content)* are recorded only where content is captured.

## Attributes

A name that ends in a dot stands for every name that begins with it.

| name | type | source | meaning |
|---|---|---|---|
"""
EVENTS = """
## Events

| name | meaning |
|---|---|
"""
METRICS = """
## Metrics

lmspan exports metrics where `OTEL_METRICS_EXPORTER` selects an exporter; otherwise the process's MeterProvider
receives them.

| name | unit | meaning |
|---|---|---|
"""


def attribute(name: str, meaning: sc.Attribute) -> str:
    unit = f", {meaning.unit}" if meaning.unit else ""
    mark = " *(content)*" if meaning.content else ""
    return f"| `{name}` | {meaning.type}{unit} | {meaning.source} | {meaning.brief}{mark} |\n"


def page() -> str:
    return "".join(
        [
            HEAD,
            *(attribute(name, meaning) for name, meaning in sc.ATTRIBUTES.items()),
            EVENTS,
            *(f"| `{name}` | {brief} |\n" for name, brief in sc.EVENTS.items()),
            METRICS,
            *(f"| `{name}` | {unit} | {brief} |\n" for name, (unit, brief) in sc.METRICS.items()),
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page())
