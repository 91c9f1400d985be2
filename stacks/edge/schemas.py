"""The API's request models (JSON schema draft 4) and its answers when API Gateway itself refuses a request.

A model asks for no more than an object. API Gateway reports a missing, mistyped or unknown field without saying in a
dependable form which one it was; the function names field, value and what is allowed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PAYMENT_REQUEST: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "title": "PaymentRequest",
    "type": "object",
}

PROCESS_REQUEST: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "title": "ProcessRequest",
    "type": "object",
}

API_GATEWAYS_MESSAGE = "$context.error.messageString"


@dataclass(frozen=True)
class Refusal:
    """A gateway response in the form of the function's own errors. ``status`` None keeps each error's own.

    ``retry_after_s`` tells the caller when to ask again.
    """

    type: str
    status: str | None
    code: str
    message: str
    retry_after_s: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What it has besides the headers of every answer."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}

    @property
    def template(self) -> str:
        """The body; API Gateway's own message is a JSON string with its quotes already."""
        message = self.message if self.message == API_GATEWAYS_MESSAGE else json.dumps(self.message)
        return f'{{"error": {{"code": "{self.code}", "message": {message}}}}}'


REFUSALS = (
    Refusal("BAD_REQUEST_BODY", "400", "invalid_request", "the body is not a JSON object"),
    Refusal("BAD_REQUEST_PARAMETERS", "400", "invalid_request", API_GATEWAYS_MESSAGE),
    # What API Gateway answers for a path or method that the API does not have, and for a call without a signature.
    Refusal("MISSING_AUTHENTICATION_TOKEN", "404", "not_found", "no such path or method"),
    # API Gateway's own messages quote the request, the caller's ARN and the method's.
    Refusal("ACCESS_DENIED", "403", "forbidden", "the caller may not do this"),
    Refusal("INVALID_SIGNATURE", "403", "forbidden", "the signature is wrong or too old"),
    Refusal("EXPIRED_TOKEN", "403", "forbidden", "the credentials have expired"),
    Refusal("THROTTLED", "429", "throttled", API_GATEWAYS_MESSAGE, retry_after_s=1),
    Refusal("DEFAULT_4XX", None, "refused", API_GATEWAYS_MESSAGE),
    # What a caller gets when the function is throttled, fails or takes too long: 500, 502 or 504 otherwise. The same
    # request again is safe, for its key makes it the same payment; so all of them say when.
    Refusal("DEFAULT_5XX", "503", "try_again", "the same request again will do no harm", retry_after_s=1),
)
