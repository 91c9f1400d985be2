"""Every decision of IAM is recorded and given out; what a call implies is decided too.

Upstream: a call of a function is checked against its role's policies and the resource's own. Neither the key of an
encrypted resource nor the policy of the VPC endpoint that the call goes through plays a part.

AWS: services use an encrypted resource's key in the caller's name ("Key management" of the SQS and SNS developer
guides, "Protecting data with server-side encryption" of the S3 user guide, "How Amazon DynamoDB uses AWS KMS"), with
`kms:ViaService`; an endpoint's policy limits what goes through it ("Control access to VPC endpoints using endpoint
policies", AWS PrivateLink guide).

Patched: `enforce`, `resolve_condition_key` for aws:PrincipalArn, `queue_policy_allows`, `topic_policy_allows`. Added:
`GET /_ministack/iam`, the record, and `PUT /_ministack/iam/scenario/<name>`, which names what comes next.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.iam import RECORD, Call, Question
from rollout.sandbox.iam.decisions import IDENTITY, enforced, from_source, key_refusal, service_refusal

_PATH = "/_ministack/iam"
# What using an encrypted resource takes of its key, by the action.
_KEY_USES = {
    "s3:PutObject": ("kms:GenerateDataKey",),
    "s3:GetObject": ("kms:Decrypt",),
    "sqs:SendMessage": ("kms:GenerateDataKey", "kms:Decrypt"),
    "sqs:ReceiveMessage": ("kms:Decrypt",),
    "sns:Publish": ("kms:GenerateDataKey", "kms:Decrypt"),
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
}
# Every access of an encrypted table decrypts the table's key.
_TABLE_USES = ("kms:Decrypt",)


def apply() -> None:
    app, iam = module("app"), module("core.iam_evaluator")

    def answer(original: Any, method: str, path: str) -> Any:
        if path == _PATH and method == "GET":
            return 200, {"Content-Type": "application/json"}, json.dumps(_everything()).encode()
        if path.startswith(f"{_PATH}/scenario/") and method == "PUT":
            RECORD.scenario = unquote(path.rsplit("/", 1)[-1])
            return 200, {}, b""
        return original(method, path)

    wrap(app, "_handle_transfer_sftp_ports_request", answer)
    if not enforced():
        return
    iam.parse_policy_document = _parse_once(iam.parse_policy_document)
    wrap(iam, "enforce", _enforce)
    wrap(iam, "_resolve_condition_key", _name_the_role)
    wrap(module("services.sqs"), "queue_policy_allows", _queue_allows)
    wrap(module("services.sns"), "topic_policy_allows", _topic_allows)


def _parse_once(parse: Any) -> Any:
    remembered = lru_cache(maxsize=1024)(parse)
    return lambda document: remembered(document) if isinstance(document, str) else parse(document)


def _enforce(original: Any, access_key: str, action: str, service: str, *rest: Any, **named: Any) -> Any:
    region = rest[0]
    resource_arn, service_context = named.get("resource_arn", "*"), named.get("service_context")
    denied = original(access_key, action, service, *rest, **named)
    role = _role_of(access_key)
    if not role:
        return denied
    context = {name.lower(): value for name, value in (service_context or {}).items() if isinstance(value, str)}
    RECORD.note(
        Call(role, action, resource_arn, IDENTITY, context=tuple(sorted(context.items()))), allowed=denied is None
    )
    if denied is not None:
        return denied
    refused = _endpoint_refusal(role, action, service, region, resource_arn)
    refused = refused or _key_refusal(role, action, region, resource_arn)
    if not refused:
        return None
    return module("core.iam_evaluator").EvalResult("ImplicitDeny", principal_arn=role, reason=refused)


def _role_of(access_key: str) -> str:
    """The role of a session; empty for the root key, under which Terraform and the tests act."""
    session = module("services.sts")._sessions.get(access_key or "") or {}
    arn = str(session.get("Arn", ""))
    if ":assumed-role/" not in arn:
        return ""
    account, name = arn.split(":")[4], arn.split("/")[1]
    return f"arn:aws:iam::{account}:role/{name}"


def _name_the_role(original: Any, key: str, context: Any) -> Any:
    """aws:PrincipalArn of a session is its role's ARN (IAM User Guide, "AWS global condition context keys")."""
    found = original(key, context)
    if key.lower() == "aws:principalarn" and ":assumed-role/" in str(found):
        account, name = found.split(":")[4], found.split("/")[1]
        return f"arn:aws:iam::{account}:role/{name}"
    return found


def _key_refusal(role: str, action: str, region: str, resource: str) -> str:
    uses, key = key_of(action, resource)
    if key is None:
        return ""
    service = action.partition(":")[0]
    account = role.split(":")[4]
    context = {"kms:ViaService": f"{service}.{region}.amazonaws.com", "kms:CallerAccount": account}
    return key_refusal(key, uses, context, role=role)


def key_of(action: str, resource: str) -> tuple[tuple[str, ...], str | None]:
    """What an action takes of the key of its resource, and the key; (), None without one."""
    service = action.partition(":")[0]
    if service == "dynamodb":
        name = resource.partition(":table/")[2].partition("/")[0]
        table = module("services.dynamodb")._tables.get(name) or {}
        return _TABLE_USES, (table.get("SSEDescription") or {}).get("KMSMasterKeyArn")
    if action not in _KEY_USES:
        return (), None
    found: Any = None
    if service == "s3":
        found = default_key(resource.removeprefix("arn:aws:s3:::").partition("/")[0])
    elif service == "sqs":
        queue = module("services.sqs")._queue_by_arn(resource) or {}
        found = (queue.get("attributes") or {}).get("KmsMasterKeyId")
    elif service == "sns":
        topic = module("services.sns")._topics.get(resource) or {}
        found = (topic.get("attributes") or {}).get("KmsMasterKeyId")
    elif service == "secretsmanager":
        stored = module("services.secretsmanager")._secrets
        found = next((secret.get("KmsKeyId") for secret in stored.values() if secret.get("ARN") == resource), None)
    return _KEY_USES[action], found or None


def default_key(bucket: str) -> str | None:
    """The key of a bucket's default encryption."""
    text = str(module("services.s3")._bucket_encryption.get(bucket) or "")
    return text.partition("<KMSMasterKeyID>")[2].partition("<")[0] or None


def _endpoint_refusal(role: str, action: str, service: str, region: str, resource: str) -> str:
    """Why the policy of the endpoint that a function in a VPC goes through refuses a call."""
    network, iam = module("services.ec2"), module("core.iam_evaluator")
    vpc = _vpc_of(role)
    wanted = f"com.amazonaws.{region}.{service}"
    endpoint = next(
        (found for found in network._vpc_endpoints.values() if (found["VpcId"], found["ServiceName"]) == (vpc, wanted)),
        None,
    )
    if endpoint is None:
        return ""
    account = role.split(":")[4]
    context = iam.EvalContext(
        principal_arn=role,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=region,
        service_context={"aws:sourcevpc": vpc, "aws:sourcevpce": endpoint["VpcEndpointId"]},
    )
    decision = iam.evaluate_resource_policy(endpoint.get("PolicyDocument"), context).decision
    through = (("aws:sourcevpce", str(endpoint["VpcEndpointId"])),)
    RECORD.note(Call(role, action, resource, "endpoint", service, through), allowed=decision == "Allow")
    return "" if decision == "Allow" else f"no VPC endpoint policy allows the {action} action"


def _vpc_of(role: str) -> str:
    for function in module("services.lambda_svc")._functions.values():
        if function["config"].get("Role") == role:
            return str((function["config"].get("VpcConfig") or {}).get("VpcId") or "")
    return ""


def _queue_allows(_: Any, queue_arn: str, service: str, source_arn: str, source_account: str) -> bool:
    """Whether a queue takes what a service delivers, and its key lets the service encrypt it."""
    queue = module("services.sqs")._queue_by_arn(queue_arn)
    if queue is None:
        return False
    attributes = queue["attributes"]
    source = from_source(service, source_arn, source_account)
    return not delivery_refusal(service, Question("sqs:SendMessage", queue_arn, source), attributes)


def _topic_allows(_: Any, topic_arn: str, service: str, source_arn: str, source_account: str) -> bool:
    topic = module("services.sns")._topic_by_arn_any_scope(topic_arn)
    if topic is None:
        return False
    attributes = topic["attributes"]
    source = from_source(service, source_arn, source_account)
    return not delivery_refusal(service, Question("sns:Publish", topic_arn, source), attributes)


def delivery_refusal(service: str, question: Question, attributes: Any) -> str:
    """Why a service can't deliver to a queue or topic on its own: the policy among its attributes, or its key's."""
    refused = service_refusal(service, attributes.get("Policy"), question)
    uses = _KEY_USES[question.action]
    return refused or key_refusal(attributes.get("KmsMasterKeyId"), uses, question.context, service=service)


def _everything() -> dict[str, Any]:
    """The record, and the policies that decided: those of roles, and of what services deliver to."""
    roles = module("services.iam")._roles
    return {
        "calls": list(RECORD),
        "roles": {
            role["Arn"]: {
                "trust": _document(role.get("AssumeRolePolicyDocument")),
                "policies": {name: _document(text) for name, text in (role.get("InlinePolicies") or {}).items()},
            }
            for role in roles.values()
        },
        "resources": {arn: document for arn, document in _resource_policies() if document},
    }


def _resource_policies() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for queue in module("services.sqs")._queues._data.values():
        found.append((queue["attributes"]["QueueArn"], _document(queue["attributes"].get("Policy"))))
    for topic in module("services.sns")._topics._data.values():
        found.append((topic["arn"], _document(topic["attributes"].get("Policy"))))
    for function in module("services.lambda_svc")._functions._data.values():
        found.append((function["config"]["FunctionArn"], _document(function.get("policy"))))
    for key in module("services.kms")._keys._data.values():
        found.append((key["Arn"], _document(key.get("Policy"))))
    for endpoint in module("services.ec2")._vpc_endpoints._data.values():
        found.append((endpoint["VpcEndpointId"], _document(endpoint.get("PolicyDocument"))))
    return found


def _document(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) and text else text or None
