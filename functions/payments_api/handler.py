"""The HTTP API of one region: merchants' payments, the payers kept here, and the region's health."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from functions.payments import container
from functions.payments.errors import InvalidPaymentError, PaymentNotFoundError
from functions.payments.telemetry import Metric, about, count, instrumented, logger
from functions.payments_api import API_BASE_PATH, answers, caller, incoming, logic

# Behind the custom domain the path starts with the base path; on the API's own host it does not.
app = APIGatewayRestResolver(strip_prefixes=[f"/{API_BASE_PATH}"])
app.exception_handler(InvalidPaymentError)(answers.refused)
app.exception_handler(Exception)(answers.failed)
app.not_found(lambda _: answers.failed(PaymentNotFoundError("no such resource")))


@app.post("/payments")
def post_payment() -> Response[str]:
    merchant, region = caller.merchant(app.current_event), container.region()
    asked = incoming.asked(app.current_event, merchant=merchant)
    payment, created = logic.submit(asked, ledger=container.ledger(), vault=container.vault(), region=region)
    if created:
        count(Metric.PAYMENTS_RECEIVED)
    logic.ensure_started(about(payment), workflow=container.workflow(), region=region)
    return answers.accepted(payment)


@app.get("/payments/<payment_id>")
def get_payment(payment_id: str) -> Response[str]:
    return answers.found(logic.find(payment_id, merchant=caller.merchant(app.current_event), ledger=container.ledger()))


@app.get("/payments/<payment_id>/payer")
def get_payer(payment_id: str) -> Response[str]:
    payment = logic.find(payment_id, merchant=caller.merchant(app.current_event), ledger=container.ledger())
    return answers.payer(payment_id, logic.find_payer(payment, vault=container.vault(), region=container.region()))


@app.get("/health")
def get_health() -> Response[str]:
    try:
        return answers.health(logic.health(regions=container.ledger(), region=container.region()))
    except Exception:  # whatever it is: this region cannot do its work
        logger.exception("unhealthy")
        return answers.health(logic.Health.UNAVAILABLE)


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
