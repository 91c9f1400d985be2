"""Functions that fail, are throttled or are slow."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, Patience, at_once, sustained
from stacks.observability.metrics import API_FUNCTION, error_rate, function, function_groups, highest, stream_age, total


def function_alarms(site: Site) -> list[AlarmSpec]:
    """Errors, throttles and duration of each group of functions."""
    return [spec for group, names in function_groups().items() for spec in group_alarms(site, group, names)]


def group_alarms(site: Site, group: str, names: tuple[str, ...]) -> list[AlarmSpec]:
    """Errors, throttles and duration of a function, or of steps of the workflow together."""
    settings = site.settings.alarms
    retried = API_FUNCTION not in names
    # The workflow and the stream try again; a caller of the API sees the first error.
    patience: Patience = sustained(settings) if retried else at_once(settings)
    return [
        AlarmSpec(
            thing=f"{group}-errors",
            says=f"more than {settings.function_error_percent:g} % of what {', '.join(names)} did ended in errors, "
            "declines aside. Start with the functions' logs.",
            what=error_rate(site, names),
            label="Errors, %",
            above=settings.function_error_percent,
            missing=Missing.IS_GOOD,
            patience=patience,
            vital=not retried,
        ),
        AlarmSpec(
            thing=f"{group}-throttles",
            says=f"Lambda throttles {', '.join(names)}: the reserved concurrency is used up.",
            what=total([function(site, name, "Throttles", "Sum") for name in names]),
            label="Throttled invocations",
            above=settings.function_throttles_per_period,
            missing=Missing.IS_GOOD,
            patience=sustained(settings),
        ),
        AlarmSpec(
            thing=f"{group}-duration",
            says=f"the slowest of {', '.join(names)} takes longer than usual (p99).",
            what=highest([function(site, name, "Duration", "p99") for name in names]),
            label="Duration p99, ms",
            above=settings.function_duration_p99_ms,
            # A function that isn't called isn't slow.
            missing=Missing.IS_GOOD,
            patience=sustained(settings),
        ),
    ]


def stream_alarms(site: Site) -> list[AlarmSpec]:
    """Change data capture falls behind the table's stream, which keeps changes for 24 hours."""
    settings = site.settings.alarms
    return [
        AlarmSpec(
            thing="stream-age",
            says="change data capture falls behind: payment events come late, and after 24 hours changes are lost.",
            what=stream_age(site),
            label="Age of the newest change, ms",
            above=settings.stream_age_ms,
            # No changes, no age.
            missing=Missing.IS_GOOD,
            patience=sustained(settings),
            vital=True,
        )
    ]
