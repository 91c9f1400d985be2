"""Services act with the roles and by the policies that they are given, when IAM is enforced.

Upstream: only what a function's code calls is checked. Whether Lambda, Step Functions, API Gateway, CloudWatch,
CloudWatch Logs, S3 notifications and flow logs may do what they do is not, and no trust policy is read.

AWS: a function's role must trust Lambda, and is refused when the function or its mapping is made without what Lambda
documents ("Giving Lambda functions access to resources in an Amazon VPC", "Configuring dead-letter queues",
"Using AWS Lambda with Amazon DynamoDB"); Lambda writes logs and traces and opens the environment variables with it
("Lambda execution role", "Securing Lambda environment variables"). A state machine acts with its role and needs the log
delivery actions when it is made ("Logging using CloudWatch Logs"). Other services invoke a function as its policy says
("Working with resource-based IAM policies in Lambda"), alarms publish as the topic's and its key's policy say ("Key
management", SNS Developer Guide). CloudWatch Logs takes a key only if the key's policy lets it ("Encrypt log data").

Patched: `_create_function`, `_update_config`, `_execute_function`, `_emit_lambda_logs`, `_route_async_failure`,
`_create_esm`; `_create_state_machine`, `_update_state_machine`, `_run_execution`, Step Functions' `_call_lambda`; API
Gateway's `_call_lambda_raw`; `_create_log_group`; `_dispatch_alarm_actions`, `_deliver_event_to_lambda`,
`_create_flow_logs`. EventBridge, stream mappings and replication ask in their own additions. A role is asked at each
invocation, not once for each environment; of Step Functions' service integrations only Lambda's asks.
"""

from __future__ import annotations

import functools
import logging
import threading
from contextvars import ContextVar
from typing import Any

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.extensions.iam_record import delivery_refusal, key_of
from rollout.sandbox.iam import Question, key_refusal, role_refusal, service_refusal
from rollout.sandbox.iam.decisions import enforced, from_source, identity_refusal

LAMBDA, STATES, GATEWAY = "lambda.amazonaws.com", "states.amazonaws.com", "apigateway.amazonaws.com"
LOGS, S3, ALARMS = "logs", "s3.amazonaws.com", "cloudwatch.amazonaws.com"

# "Giving Lambda functions access to resources in an Amazon VPC": required execution role permissions.
_ATTACH = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
_TRACE = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
# What Lambda names when it refuses a mapping: "Please ensure the role can perform ... on your stream in IAM".
STREAM = (
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:DescribeStream",
    "dynamodb:ListStreams",
)
# "Logging using CloudWatch Logs" of the Step Functions developer guide.
_DELIVER = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
# "Encrypt log data in CloudWatch Logs using AWS Key Management Service".
_LOG_KEY = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
)

# AWS delivers within minutes.
_FIRST_FLOWS_S = 10.0

# Role and state machine of the execution that is running.
_running: ContextVar[tuple[str, str]] = ContextVar("tripoint_execution", default=("", ""))

logger = logging.getLogger("tripoint.permissions")


def apply() -> None:
    if not enforced():
        return
    _functions(module("services.lambda_svc"))
    _workflows(module("services.stepfunctions"))
    _gateway(module("services.apigateway_v1"))
    wrap(module("services.cloudwatch"), "_dispatch_alarm_actions", _publish_alarm)
    wrap(module("services.cloudwatch_logs"), "_create_log_group", _create_log_group)
    wrap(module("services.s3"), "_deliver_event_to_lambda", _notify_function)
    wrap(module("services.ec2"), "_create_flow_logs", _create_flow_logs)


# -- Lambda ---------------------------------------------------------------------------------------


def _functions(functions: Any) -> None:
    def create(original: Any, data: Any) -> Any:
        name, role = data.get("FunctionName", ""), data.get("Role", "")
        refused = role_refusal(role, LAMBDA, functions._func_arn(name))
        if refused:
            return _invalid(functions, "The role defined for the function cannot be assumed by Lambda.")
        return _without(functions, role, data) or original(data)

    def update(original: Any, name: str, data: Any) -> Any:
        known = (functions._functions.get(name) or {}).get("config") or {}
        role = data.get("Role") or known.get("Role", "")
        if "Role" in data and role_refusal(role, LAMBDA, functions._func_arn(name)):
            return _invalid(functions, "The role defined for the function cannot be assumed by Lambda.")
        return _without(functions, role, data) or original(name, data)

    def create_mapping(original: Any, data: Any) -> Any:
        return _mapping_refusal(functions, data) or original(data)

    execute = functions._execute_function

    @functools.wraps(execute)
    def execute_as_role(function: Any, event: Any) -> Any:
        config = function.get("config") or function
        if functions._function_config_scope_mismatch(config):
            return execute(function, event)
        refused = _invocation_refusal(config)
        if refused:
            body = {"errorType": refused[0], "errorMessage": refused[1]}
            return {"error": True, "function_error": "Unhandled", "body": body, "log": ""}
        return execute(function, event)

    def write(original: Any, function: Any, *given: Any, **options: Any) -> None:
        config = function.get("config") or function
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        region, account = config["FunctionArn"].split(":")[3:5]
        stream = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{config['FunctionName']}"
        refused = ""
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            refused = refused or identity_refusal(config.get("Role", ""), Question(action, stream), via=LAMBDA)
        if refused:
            logger.warning("%s", refused)
            return
        original(function, *given, **options)

    def route_failure(original: Any, target: str, name: str, event: Any, result: Any) -> None:
        config = (functions._functions.get(name) or {}).get("config") or {}
        queue = (config.get("DeadLetterConfig") or {}).get("TargetArn") or target
        refused = send_refusal(config.get("Role", ""), LAMBDA, config.get("FunctionArn", ""), queue) if queue else ""
        if refused:
            logger.warning("%s", refused)
            record = module("services.cloudwatch").record_metric
            record("AWS/Lambda", "DeadLetterErrors", 1, "Count", {"FunctionName": name})
            return
        original(target, name, event, result)

    wrap(functions, "_create_function", create)
    wrap(functions, "_update_config", update)
    wrap(functions, "_create_esm", create_mapping)
    wrap(functions, "_emit_lambda_logs", write)
    wrap(functions, "_route_async_failure", route_failure)
    functions._execute_function = execute_as_role


def send_refusal(role: str, service: str, source: str, target: str) -> str:
    """Why a service can't send to an encrypted queue or topic with a role."""
    action = "sns:Publish" if ":sns:" in target else "sqs:SendMessage"
    refused = role_refusal(role, service, source, Question(action, target))
    uses, key = key_of(action, target)
    region = target.split(":")[3]
    context = {"kms:ViaService": f"{action.partition(':')[0]}.{region}.amazonaws.com"}
    return refused or key_refusal(key, uses, context, role=role, service=service)


def _without(functions: Any, role: str, data: Any) -> Any:
    """The refusal of a function whose role lacks what Lambda needs for its settings; None if it lacks nothing."""
    if (data.get("VpcConfig") or {}).get("SubnetIds"):
        for action in _ATTACH:
            if identity_refusal(role, Question(action, _interface(functions, action)), via=LAMBDA):
                what = action.removeprefix("ec2:")
                return _invalid(
                    functions, f"The provided execution role does not have permissions to call {what} on EC2"
                )
    queue = (data.get("DeadLetterConfig") or {}).get("TargetArn")
    if queue and ":sqs:" in queue and identity_refusal(role, Question("sqs:SendMessage", queue), via=LAMBDA):
        return _invalid(functions, "The provided execution role does not have permissions to call SendMessage on SQS")
    return None


def _interface(functions: Any, action: str) -> str:
    """Only describing has no resource-level permission."""
    if action.startswith("ec2:Describe"):
        return "*"
    region, account = functions._func_arn("any").split(":")[3:5]
    return f"arn:aws:ec2:{region}:{account}:network-interface/eni-0123456789abcdef0"


def _mapping_refusal(functions: Any, data: Any) -> Any:
    arn, reference = data.get("EventSourceArn", ""), data.get("FunctionName", "")
    _function, config, _name = functions._get_func_record_for_ref(reference)
    if not config or ":dynamodb:" not in arn:
        return None
    for action in STREAM:
        if identity_refusal(config["Role"], Question(action, arn), via=LAMBDA):
            return _invalid(
                functions,
                f"Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator, "
                "DescribeStream, and ListStreams Actions on your stream in IAM.",
            )
    queue = ((data.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination") or ""
    if ":sqs:" in queue and identity_refusal(config["Role"], Question("sqs:SendMessage", queue), via=LAMBDA):
        return _invalid(functions, "The provided execution role does not have permissions to call SendMessage on SQS")
    return None


def _invocation_refusal(config: Any) -> tuple[str, str] | None:
    """Error type and message of an invocation that Lambda can't start; traces are lost without an error."""
    role, arn = config.get("Role", ""), config.get("FunctionArn", "")
    if role_refusal(role, LAMBDA, arn):
        return "AccessDeniedException", "The role defined for the function cannot be assumed by Lambda."
    if (config.get("Environment") or {}).get("Variables"):
        region = arn.split(":")[3]
        context = {
            "kms:ViaService": f"lambda.{region}.amazonaws.com",
            "kms:EncryptionContext:aws:lambda:FunctionArn": arn,
        }
        refused = key_refusal(config.get("KMSKeyArn"), ("kms:Decrypt",), context, role=role, service=LAMBDA)
        if refused:
            return "KMSAccessDeniedException", f"Lambda was unable to decrypt the environment variables: {refused}"
    if (config.get("TracingConfig") or {}).get("Mode") == "Active":
        for action in _TRACE:
            identity_refusal(role, Question(action, "*"), via=LAMBDA)
    return None


def _invalid(service: Any, message: str) -> Any:
    return service.error_response_json("InvalidParameterValueException", message, 400)


def invocation_refusal(service: str, function: str, source: str, account: str) -> str:
    """Why a service can't invoke a function for one of its resources: the function's policy decides."""
    if not enforced():
        return ""
    functions = module("services.lambda_svc")
    found, config, _name = functions._get_func_record_for_ref(function)
    if not found or not config:
        return ""
    question = Question("lambda:InvokeFunction", config["FunctionArn"], from_source(service, source, account))
    return service_refusal(service, found.get("policy"), question)


# -- Step Functions -------------------------------------------------------------------------------


def _workflows(workflows: Any) -> None:
    def create(original: Any, data: Any) -> Any:
        role, name = data.get("roleArn", ""), data.get("name", "")
        account, region = workflows.get_account_id(), workflows.get_region()
        machine = f"arn:aws:states:{region}:{account}:stateMachine:{name}"
        return _machine_refusal(workflows, role, machine, data) or original(data)

    def update(original: Any, data: Any) -> Any:
        machine = data.get("stateMachineArn", "")
        known = workflows._state_machines.get(machine) or {}
        role = data.get("roleArn") or known.get("roleArn", "")
        return _machine_refusal(workflows, role, machine, data) or original(data)

    def run(original: Any, execution_arn: str) -> None:
        execution = workflows._executions.get(execution_arn) or {}
        machine = workflows._state_machines.get(execution.get("stateMachineArn")) or {}
        token = _running.set((machine.get("roleArn", ""), machine.get("stateMachineArn", "")))
        try:
            original(execution_arn)
        finally:
            _running.reset(token)

    def call(original: Any, reference: str, event: Any) -> Any:
        role, machine = _running.get()
        if role:
            _function, config, _name = module("services.lambda_svc")._get_func_record_for_ref(reference)
            arn = (config or {}).get("FunctionArn") or reference
            refused = role_refusal(role, STATES, machine, Question("lambda:InvokeFunction", arn))
            if refused:
                cause = f"{refused} (Service: AWSLambda; Status Code: 403; Error Code: AccessDeniedException)"
                raise workflows._ExecutionError("Lambda.AWSLambdaException", cause)
            if (workflows._state_machines.get(machine) or {}).get("tracingConfiguration", {}).get("enabled"):
                for action in _TRACE:
                    identity_refusal(role, Question(action, "*"), via=STATES)
        return original(reference, event)

    wrap(workflows, "_create_state_machine", create)
    wrap(workflows, "_update_state_machine", update)
    wrap(workflows, "_run_execution", run)
    wrap(workflows, "_call_lambda", call)


def _machine_refusal(workflows: Any, role: str, machine: str, data: Any) -> Any:
    if role_refusal(role, STATES, machine):
        message = (
            f"Neither the global service principal {STATES}, nor the regional one is authorized to assume the provided "
            "role."
        )
        return workflows.error_response_json("AccessDeniedException", message, 400)
    if (data.get("loggingConfiguration") or {}).get("level", "OFF") != "OFF":
        for action in _DELIVER:
            if identity_refusal(role, Question(action, "*"), via=STATES):
                message = "The state machine IAM Role is not authorized to access the Log Destination"
                return workflows.error_response_json("AccessDeniedException", message, 400)
    return None


# -- API Gateway ----------------------------------------------------------------------------------


def _gateway(gateway: Any) -> None:
    async def call(original: Any, reference: str, event: Any, **place: Any) -> Any:
        asked = event.get("requestContext") or {}
        account = place.get("account_id") or gateway.get_account_id()
        region = place.get("region") or gateway.get_region()
        path = f"{asked.get('stage')}/{asked.get('httpMethod')}{asked.get('resourcePath', '/')}"
        source = f"arn:aws:execute-api:{region}:{account}:{asked.get('apiId')}/{path}"
        with module("core.responses").request_scope(account, region):
            refused = invocation_refusal(GATEWAY, reference, source, account)
        if refused:
            logger.warning("%s", refused)
            return None, refused
        return await original(reference, event, **place)

    wrap(gateway, "_call_lambda_raw", call)


def access_log_refusal(gateway: Any, group: str) -> str:
    """Why API Gateway can't write an access log: the role of the account's settings decides."""
    if not enforced():
        return ""
    account, region = gateway.get_account_id(), gateway.get_region()
    role = (gateway._account_settings.get("settings") or {}).get("cloudwatchRoleArn")
    if not role:
        return "the account has no role for logs"
    stream = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:access"
    asked = (Question("logs:CreateLogStream", stream), Question("logs:PutLogEvents", stream))
    return role_refusal(role, GATEWAY, f"arn:aws:apigateway:{region}::/account", *asked)


# -- CloudWatch, S3 notifications, flow logs ----------------------------------------------------------


def _publish_alarm(original: Any, alarm: Any, *change: Any) -> None:
    cloudwatch, topics = module("services.cloudwatch"), module("services.sns")
    account = cloudwatch.get_account_id()
    name = alarm.get("AlarmName", "")
    source = alarm.get("AlarmArn") or f"arn:aws:cloudwatch:{cloudwatch.get_region()}:{account}:alarm:{name}"

    def admits(action: str) -> bool:
        topic = topics._topic_by_arn_any_scope(action) if ":sns:" in action else None
        if topic is None:
            return True
        question = Question("sns:Publish", action, from_source(ALARMS, source, account))
        refused = delivery_refusal(ALARMS, question, topic["attributes"])
        if refused:
            logger.warning("alarm %s: %s", name, refused)
        return not refused

    field = {"ALARM": "AlarmActions", "OK": "OKActions"}.get(change[1], "InsufficientDataActions")
    original({**alarm, field: [action for action in alarm.get(field) or [] if admits(action)]}, *change)


def _create_log_group(original: Any, data: Any) -> Any:
    logs = module("services.cloudwatch_logs")
    region, account = logs.get_region(), logs.get_account_id()
    arn = f"arn:aws:logs:{region}:{account}:log-group:{data.get('logGroupName')}"
    service = f"{LOGS}.{region}.amazonaws.com"
    context = {**from_source(service, arn, account), "kms:EncryptionContext:aws:logs:arn": arn}
    if key_refusal(data.get("kmsKeyId"), _LOG_KEY, context, service=service):
        message = f"The specified KMS key does not exist or is not allowed to be used with LogGroup '{arn}'"
        return logs.error_response_json("InvalidParameterException", message, 400)
    return original(data)


def _notify_function(original: Any, arn: str, payload: Any, region: str) -> None:
    record = (payload.get("Records") or [{}])[0]
    bucket = ((record.get("s3") or {}).get("bucket") or {}).get("arn", "")
    refused = invocation_refusal(S3, arn, bucket, module("core.responses").get_account_id())
    if refused:
        logger.warning("%s", refused)
        return
    original(arn, payload, region)


def _create_flow_logs(original: Any, params: Any) -> Any:
    network = module("services.ec2")
    known = set(network._flow_logs.keys())
    answer = original(params)
    place = (network.get_account_id(), network.get_region())
    for name, log in network._flow_logs.items():
        if name not in known and log.get("LogDestinationType") == "cloud-watch-logs":
            # The role's policy may still be on its way when the flow log is made.
            first = threading.Timer(_FIRST_FLOWS_S, _deliver_flows, (place, name, log))
            first.daemon = True
            first.start()
    return answer


def _deliver_flows(place: tuple[str, str], name: str, log: Any) -> None:
    """The first delivery of a flow log; whether it could be made is in its status."""
    account, region = place
    source = f"arn:aws:ec2:{region}:{account}:vpc-flow-log/{name}"
    stream = f"{str(log['LogDestination']).removesuffix(':*')}:log-stream:eni"
    asked = [Question(f"logs:{action}", stream) for action in ("CreateLogStream", "PutLogEvents")]
    asked.append(Question("logs:DescribeLogStreams", stream.partition(":log-stream:")[0] + ":*"))
    with module("core.responses").request_scope(account, region):
        if name not in module("services.ec2")._flow_logs:
            return
        if role_refusal(log.get("DeliverLogsPermissionArn") or "", "vpc-flow-logs.amazonaws.com", source, *asked):
            log.update(DeliverLogsStatus="FAILED", DeliverLogsErrorMessage="Access error")
