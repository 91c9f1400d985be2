"""The HTTP API of one region: merchants' payments, the payers kept here, and the region's health."""

from __future__ import annotations

from typing import Any

from functions.payments import container
from functions.payments.errors import InvalidPaymentError, PaymentNotFoundError
from functions.payments.gateway import Answer, Event, Routes
from functions.payments.telemetry import Metric, about, count, instrumented, logger
from functions.payments_api import API_BASE_PATH, answers, caller, incoming, logic

routes = Routes(API_BASE_PATH)


@routes.on("POST", "/payments")
def post_payment(event: Event) -> Answer:
    merchant, region = caller.merchant(event), container.region()
    asked = incoming.asked(event, merchant=merchant)
    payment, created = logic.submit(asked, ledger=container.ledger(), vault=container.vault(), region=region)
    if created:
        count(Metric.PAYMENTS_RECEIVED)
    logic.ensure_started(about(payment), workflow=container.workflow(), region=region)
    return answers.accepted(payment)


@routes.on("GET", "/payments/<payment_id>")
def get_payment(event: Event, payment_id: str) -> Answer:
    return answers.found(logic.find(payment_id, merchant=caller.merchant(event), ledger=container.ledger()))


@routes.on("GET", "/payments/<payment_id>/payer")
def get_payer(event: Event, payment_id: str) -> Answer:
    payment = logic.find(payment_id, merchant=caller.merchant(event), ledger=container.ledger())
    return answers.payer(payment_id, logic.find_payer(payment, vault=container.vault(), region=container.region()))


@routes.on("GET", "/health")
def get_health(_: Event) -> Answer:
    try:
        return answers.health(logic.health(regions=container.ledger(), region=container.region()))
    except Exception:  # whatever it is: this region cannot do its work
        logger.exception("unhealthy")
        return answers.health(logic.Health.UNAVAILABLE)


@instrumented
def handler(event: dict[str, Any], context: Any) -> Answer:
    route = routes.find(event)
    try:
        return route() if route else answers.failed(PaymentNotFoundError("no such resource"))
    except InvalidPaymentError as error:
        return answers.refused(error)
    except Exception as error:
        return answers.failed(error)
