"""Change data capture: from the payments table's stream to the event bus."""

from __future__ import annotations

import json

from cdktf_cdktf_provider_aws.lambda_event_source_mapping import (
    LambdaEventSourceMapping,
    LambdaEventSourceMappingDestinationConfig,
    LambdaEventSourceMappingDestinationConfigOnFailure,
    LambdaEventSourceMappingFilterCriteria,
    LambdaEventSourceMappingFilterCriteriaFilter,
)
from constructs import Construct

from shared.queue import kept_queue
from shared.site import Site
from stacks.compute.function import PaymentFunction

BATCH_SIZE = 100
BATCH_WINDOW_S = 1
MAXIMUM_AGE_S = 3600
RETRIES = 10
# Batches of one shard at once, in order per payment; one would not hold the capacity model's load (docs/capacity.md).
BATCHES_PER_SHARD = 4


class ChangesQueue(Construct):
    """Where changes go that could not be published, for 14 days."""

    def __init__(self, scope: Construct, id: str, *, site: Site, key_arn: str) -> None:
        super().__init__(scope, id)
        self.name = site.name("changes-dlq")
        self.queue = kept_queue(self, "queue", site=site, name=self.name, key_arn=key_arn)
        self.arn = self.queue.arn


class ChangeCapture(Construct):
    """Feeds each change of a payment to the publishing function, once over all regions (PAY-10).

    Every replica's stream carries every write, so the filter takes only payments whose home is this region. Deletes
    have no new image and never match.
    """

    def __init__(
        self, scope: Construct, id: str, *, site: Site, stream_arn: str, publisher: PaymentFunction, dlq: ChangesQueue
    ) -> None:
        super().__init__(scope, id)
        LambdaEventSourceMapping(
            self,
            "mapping",
            event_source_arn=stream_arn,
            function_name=publisher.arn,
            starting_position="TRIM_HORIZON",
            batch_size=BATCH_SIZE,
            maximum_batching_window_in_seconds=BATCH_WINDOW_S,
            function_response_types=["ReportBatchItemFailures"],
            bisect_batch_on_function_error=True,
            parallelization_factor=BATCHES_PER_SHARD,
            maximum_retry_attempts=RETRIES,
            maximum_record_age_in_seconds=MAXIMUM_AGE_S,
            destination_config=LambdaEventSourceMappingDestinationConfig(
                on_failure=LambdaEventSourceMappingDestinationConfigOnFailure(destination_arn=dlq.arn)
            ),
            filter_criteria=LambdaEventSourceMappingFilterCriteria(
                filter=[
                    LambdaEventSourceMappingFilterCriteriaFilter(
                        pattern=json.dumps({"dynamodb": {"NewImage": {"home_region": {"S": [site.region]}}}})
                    )
                ]
            ),
        )
