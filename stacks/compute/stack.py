"""The compute layer of one region."""

from __future__ import annotations

from constructs import Construct

from functions.catalogue import WORKFLOW_FUNCTIONS
from shared.grants import decrypt_with_key, send_to_queue
from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.compute.bus import PaymentBus, UndeliveredEvents
from stacks.compute.changes import ChangeCapture, ChangesQueue
from stacks.compute.code import FunctionCodes
from stacks.compute.contract import COMPUTE, ComputeOutputs
from stacks.compute.functions import PaymentFunctions
from stacks.compute.journal import EventJournal
from stacks.compute.processing import Processing
from stacks.compute.routes import Arrivals
from stacks.compute.schedule import EveryMinute
from stacks.compute.web.tier import WebTier
from stacks.compute.workflow import PaymentWorkflow
from stacks.data.contract import DataOutputs, UploadsOutputs
from stacks.network.contract import ApplicationTierOutputs, NetworkOutputs


class ComputeStack(LayerStack):
    """What happens to a payment in one region: functions, workflow, event bus and its journal, change data
    capture, take-over."""

    spec = COMPUTE

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        network = self.consume(NetworkOutputs)
        data = self.consume(DataOutputs)
        bus = PaymentBus(self, "bus", site=site, key_arn=data.key_arn)
        codes = FunctionCodes(
            self,
            "codes",
            site=site,
            zips=inputs.zips,
            key_arn=data.key_arn,
            access_logs=data.access_logs_bucket_name,
        )
        functions = PaymentFunctions(
            self,
            "functions",
            site=site,
            codes=codes,
            network=network,
            data=data,
            bus_name=bus.name,
            bus_arn=bus.arn,
        )
        steps = {name: functions.add(name) for name in WORKFLOW_FUNCTIONS}
        workflow = PaymentWorkflow(self, "workflow", site=site, steps=steps, key_arn=data.key_arn)
        functions.know_workflow(workflow.arn)
        api = functions.add("payments_api", [decrypt_with_key(data.vault_key_arn, "DecryptWithVaultKey")])
        changes_dlq = ChangesQueue(self, "changes-dlq", site=site, key_arn=data.key_arn)
        publisher = functions.add("publish_changes", [send_to_queue(changes_dlq.arn)])
        ChangeCapture(
            self, "changes", site=site, stream_arn=data.payments_stream_arn, publisher=publisher, dlq=changes_dlq
        )
        undelivered = UndeliveredEvents(self, "events-dlq", site=site, key_arn=data.key_arn)
        receiver = functions.add("take_over", [send_to_queue(undelivered.arn)])
        journal = EventJournal(
            self, "journal", site=site, bus_name=bus.name, key_arn=data.key_arn, dlq_arn=undelivered.arn
        )
        Arrivals(self, "arrivals", site=site, bus_name=bus.name, receiver=receiver, dlq_arn=undelivered.arn)
        EveryMinute(self, "sweep", site=site, function=functions.add("sweep_payments"))
        EveryMinute(self, "aggregate", site=site, function=functions.add("aggregate_outcomes"))
        if site.settings.web.enabled:
            tier = self.consume(ApplicationTierOutputs)
            web = WebTier(
                self,
                "web",
                site=site,
                network=network,
                application=tier,
                codes=codes,
                functions=functions,
                key_arn=data.key_arn,
                tags={**site.tags(self.spec.layer), **inputs.tags},
            )
            self.publish(web.outputs)
        if site.settings.processing.enabled:
            uploads = self.consume(UploadsOutputs)
            processing = Processing(self, "processing", site=site, functions=functions, data=data, uploads=uploads)
            self.publish(processing.outputs)
        self.publish(
            ComputeOutputs(
                api_function_name=api.name,
                api_function_arn=api.arn,
                api_function_invoke_arn=api.function.invoke_arn,
                function_names=[function.name for function in functions.made.values()],
                state_machine_arn=workflow.arn,
                state_machine_name=workflow.name,
                event_bus_name=bus.name,
                event_bus_arn=bus.arn,
                changes_dlq_name=changes_dlq.name,
                changes_dlq_arn=changes_dlq.arn,
                events_dlq_name=undelivered.name,
                events_dlq_arn=undelivered.arn,
                event_journal_name=journal.name,
                code_bucket_name=codes.bucket_name,
            )
        )
