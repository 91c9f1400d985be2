"""Permissions in the sandbox, when it enforces IAM: who may do what, and a record of every answer.

The decisions are the emulator's own evaluator's (`ministack.core.iam_evaluator`): explicit denies, conditions,
boundaries, resource policies. What it is asked, and when, is in `rollout/sandbox/extensions/`.
"""

from rollout.sandbox.iam.decisions import (
    Question,
    key_refusal,
    role_refusal,
    service_refusal,
    trust_refusal,
)
from rollout.sandbox.iam.record import RECORD, Call, Record

__all__ = [
    "RECORD",
    "Call",
    "Question",
    "Record",
    "key_refusal",
    "role_refusal",
    "service_refusal",
    "trust_refusal",
]
