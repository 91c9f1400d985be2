"""Payments that are left open, and regions that fall silent."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, at_once, sustained
from stacks.observability.metrics import swept, total


def sweeper_alarms(site: Site) -> list[AlarmSpec]:
    """What `sweep_payments` finds each minute, in this region and in those that are down."""
    settings = site.settings.alarms
    taken_up = [swept(site, name, "Sum") for name in ("PaymentsResumed", "PaymentsTakenOverLostEvent")]
    return [
        AlarmSpec(
            thing="open-payments",
            says=f"a payment is open for more than {settings.open_payment_s} s, or the sweeper does not run. "
            "The log of sweep-payments tells what it found.",
            what=swept(site, "OldestOpenPayment", "Maximum"),
            label="Age of the oldest open payment, s",
            above=settings.open_payment_s,
            # Written every minute, payments or not: nothing means that the sweeper has stopped.
            missing=Missing.IS_BAD,
            patience=sustained(settings),
        ),
        AlarmSpec(
            thing="stuck-payments",
            says="every region has had these payments and none can finish them. The sweeper starts them again at "
            "growing intervals; find out why their workflows fail.",
            what=swept(site, "PaymentsStuck", "Maximum"),
            label="Stuck payments",
            above=0,
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
        ),
        AlarmSpec(
            thing="resumed-payments",
            says="payments are left open by their workflow, or hand-overs get lost: the sweeper takes them up. "
            "Look at failed executions and at the dead-letter queue of events.",
            what=total(taken_up),
            label="Payments taken up again",
            above=settings.resumed_payments_per_period,
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
        ),
        AlarmSpec(
            thing="payments-not-swept",
            says="the sweeper cannot take up payments that were left open; its log names them and the errors.",
            what=swept(site, "PaymentsNotSwept", "Sum"),
            label="Payments not swept",
            above=0,
            missing=Missing.IS_GOOD,
            patience=sustained(settings),
        ),
        AlarmSpec(
            thing="regions-down",
            says="another region has fallen silent: this one and the others finish its payments. "
            "The log of sweep-payments names it.",
            what=swept(site, "RegionsDown", "Maximum"),
            label="Regions down",
            above=0,
            missing=Missing.IS_GOOD,
            patience=sustained(settings),
        ),
    ]
