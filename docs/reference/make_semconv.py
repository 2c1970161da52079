"""Write docs/reference/semconv.md from `lmspan.semconv`: python docs/reference/make_semconv.py"""

from pathlib import Path

from lmspan.semconv import METRICS, table

PAGE = Path(__file__).with_name("semconv.md")


def page() -> str:
    rows = [
        f"| `{name}` | {entry.meta.type}{entry.meta.unit and f', {entry.meta.unit}'} | {entry.meta.source} "
        f"| {entry.meta.brief}{' *(content)*' if entry.meta.content else ''} |"
        for name, entry in table().items()
    ]
    return "\n".join(
        [
            "# Names",
            "",
            "Every attribute that `lmspan` emits. Made from `lmspan/semconv/` by `make_semconv.py`; what is marked",
            "*(content)* is only there as the content rule allows.",
            "",
            "| name | type | from | what |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Metrics",
            "",
            "Sent where `OTEL_METRICS_EXPORTER` says so, or measured by the MeterProvider that the process has.",
            "",
            "| name | unit | what |",
            "|---|---|---|",
            *(f"| `{name}` | {unit} | {brief} |" for name, (unit, brief) in METRICS.items()),
            "",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page())
