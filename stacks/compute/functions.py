"""The functions of a region, as `functions/catalogue.py` lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from constructs import Construct

from functions.catalogue import OPEN_PAYMENTS_INDEX, SERVICE_NAME, Env, function
from functions.catalogue import Grant as Verb
from functions.uploads import PROCESSED
from shared.grants import Grant
from shared.site import Site
from stacks.compute.code import FunctionCodes
from stacks.compute.function import PaymentFunction
from stacks.data.contract import DataOutputs
from stacks.network.contract import NetworkOutputs

# Listing is granted on the bucket; what may be listed of it is a condition.
CONDITIONS: Mapping[Verb, Mapping[str, Mapping[str, str]]] = {
    Verb.SUMMARIES_LIST: {"StringLike": {"s3:prefix": f"{PROCESSED}*"}}
}


class PaymentFunctions(Construct):
    """Makes functions of the catalogue's entries: what each is told and may do, on this region's resources.

    The event bus exists before the functions; the state machine needs the functions of its steps and is needed by the
    API's, so functions are made one by one, :meth:`add`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        codes: FunctionCodes,
        network: NetworkOutputs,
        data: DataOutputs,
        bus_name: str,
        bus_arn: str,
    ) -> None:
        super().__init__(scope, id)
        self._site = site
        self._codes = codes
        self._network = network
        self._data = data
        processor = site.environment.processor
        self._values: dict[Env, str] = {
            Env.PAYMENTS_TABLE: data.payments_table_name,
            Env.RECEIPTS_BUCKET: data.receipts_bucket_name,
            Env.RECEIPTS_KEY_ARN: data.key_arn,
            Env.EVENT_BUS_NAME: bus_name,
            Env.VAULT_TABLE: data.vault_table_name,
            Env.MERCHANT_ROLES: site.merchant_role_name("{}"),
            Env.VAULT_RETENTION_DAYS: str(site.settings.residency.vault_retention_days),
            Env.FAILOVER_ORDER: ",".join(site.environment.failover_order),
            Env.STALE_AFTER_S: str(site.environment.failover.stale_after_s),
            Env.DOWN_AFTER_S: str(site.environment.failover.down_after_s),
            Env.METRICS_REGIONS: ",".join(site.environment.regions),
            Env.PROCESSOR_KIND: processor.kind,
            Env.PROCESSOR_TABLE: data.processor_table_name,
            Env.PROCESSOR_URL: processor.url or "",
            Env.PROCESSOR_SECRET_ID: processor.secret_name or "",
            Env.PROCESSOR_TIMEOUT_MS: str(processor.timeout_ms),
            Env.LOG_LEVEL: site.settings.functions.log_level,
            Env.POWERTOOLS_SERVICE_NAME: SERVICE_NAME,
            Env.POWERTOOLS_METRICS_NAMESPACE: site.metrics_namespace,
        }
        # The secret's ARN ends in six characters that only AWS knows.
        secret_arn = site.arn("secretsmanager", f"secret:{processor.secret_name}-??????")
        self._resources: dict[Verb, str] = {
            Verb.LEDGER_CREATE: data.payments_table_arn,
            Verb.LEDGER_READ: data.payments_table_arn,
            Verb.LEDGER_READ_MANY: data.payments_table_arn,
            Verb.LEDGER_UPDATE: data.payments_table_arn,
            Verb.LEDGER_LIST_OPEN: f"{data.payments_table_arn}/index/{OPEN_PAYMENTS_INDEX}",
            Verb.LEDGER_STREAM: data.payments_stream_arn,
            Verb.LEDGER_FIND_STREAM: "*",
            Verb.RECEIPTS_PUT: f"{data.receipts_bucket_arn}/receipts/*",
            Verb.RECEIPTS_ENCRYPT: data.key_arn,
            Verb.EVENTS_PUT: bus_arn,
            Verb.VAULT_PUT: data.vault_table_arn,
            Verb.VAULT_READ: data.vault_table_arn,
            Verb.METRICS_READ: "*",
            Verb.PROCESSOR_OPEN: data.processor_table_arn,
            Verb.PROCESSOR_ACCOUNTS: data.processor_table_arn,
            Verb.PROCESSOR_SECRET: secret_arn,
            Verb.TRACES_PUT: "*",
        }
        self.made: dict[str, PaymentFunction] = {}

    def know_workflow(self, state_machine_arn: str) -> None:
        """Tell functions added from now on where the workflow is."""
        self._values[Env.STATE_MACHINE_ARN] = state_machine_arn
        self._resources[Verb.WORKFLOW_START] = state_machine_arn

    def know(self, values: Mapping[Env, str], resources: Mapping[Verb, str]) -> None:
        """Tell functions added from now on what a capability has made."""
        self._values.update(values)
        self._resources.update(resources)

    def add(self, name: str, extra_grants: Iterable[Grant] = ()) -> PaymentFunction:
        """Make one function of the catalogue."""
        spec = function(name)
        kind = self._site.environment.processor.kind
        self.made[name] = PaymentFunction(
            self,
            name,
            site=self._site,
            name=name,
            description=spec.description,
            handler=spec.handler,
            code=self._codes.of(name),
            environment={variable.value: self._values[variable] for variable in spec.env_for(kind)},
            grants=[*(self._grant(verb) for verb in spec.grants_for(kind)), *extra_grants],
            network=self._network if spec.in_vpc else None,
            key_arn=self._data.key_arn,
        )
        return self.made[name]

    def _grant(self, verb: Verb) -> Grant:
        sid = "".join(part.capitalize() for part in verb.name.split("_"))
        return Grant(sid, verb.actions, (self._resources[verb],), CONDITIONS.get(verb, {}))
