"""What the data layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Need, Outputs, StackSpec, Where


@dataclass(frozen=True, kw_only=True)
class DataOutputs(Outputs):
    """A region's key, its replica of the payments table, and its receipts bucket."""

    stack: ClassVar[str] = "data"

    key_arn: str
    payments_table_name: str
    payments_table_arn: str
    payments_stream_arn: str
    # The simulated card processor's record; empty where a real processor is configured.
    processor_table_name: str
    processor_table_arn: str
    receipts_bucket_name: str
    receipts_bucket_arn: str


DATA = StackSpec(
    name="data",
    layer="data",
    owner="team-data",
    publishes=DataOutputs,
    # The primary owns the global tables: it is first to come and last to go.
    needs=(Need(DataOutputs, Where.PRIMARY),),
    factory="stacks.data.stack:DataStack",
)
