"""The HTTP API of one region: `POST /payments`, `GET /payments/{payment_id}`, `GET /health`."""

from __future__ import annotations

import binascii
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from functions.payments import aws, container, request
from functions.payments.errors import InvalidPaymentError, PaymentNotFoundError
from functions.payments.executions import StepFunctionsWorkflow
from functions.payments.settings import ApiSettings, load
from functions.payments.telemetry import Metric, about, count, instrumented, logger
from functions.payments_api import answers, logic

app = APIGatewayRestResolver()
app.exception_handler(InvalidPaymentError)(answers.refused)
app.exception_handler(Exception)(answers.failed)
app.not_found(lambda _: answers.failed(PaymentNotFoundError("no such resource")))


@app.post("/payments")
def post_payment() -> Response[str]:
    event = app.current_event
    try:
        body = event.decoded_body
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidPaymentError("body", None, "UTF-8 text") from None
    keys = event.resolved_headers_field.get("Idempotency-Key") or []
    asked = request.parse(body, [keys] if isinstance(keys, str) else list(keys))
    payment, created = logic.submit(asked, ledger=container.ledger(), region=container.region())
    about(payment)
    if created:
        count(Metric.PAYMENTS_RECEIVED)
    settings = load(ApiSettings)
    workflow = StepFunctionsWorkflow(aws.client("stepfunctions", settings.aws_region), settings.state_machine_arn)
    logic.ensure_started(payment, workflow=workflow, region=settings.aws_region)
    return answers.accepted(payment)


@app.get("/payments/<payment_id>")
def get_payment(payment_id: str) -> Response[str]:
    return answers.found(logic.find(payment_id, ledger=container.ledger()))


@app.get("/health")
def get_health() -> Response[str]:
    try:
        logic.check_health(ledger=container.ledger())
    except Exception:  # whatever it is: this region cannot do its work
        logger.exception("unhealthy")
        return answers.health(False)
    return answers.health(True)


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
