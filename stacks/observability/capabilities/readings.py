"""What the alarms and widgets of capabilities are told of other layers."""

from __future__ import annotations

from typing import TypeVar

from shared.contracts import Outputs

Contract = TypeVar("Contract", bound=Outputs)


class Readings:
    """What the observability stack has read of other layers, by contract: ids that no name tells."""

    def __init__(self, *outputs: Outputs) -> None:
        self._outputs = {type(found): found for found in outputs}

    def __getitem__(self, contract: type[Contract]) -> Contract:
        found = self._outputs[contract]
        assert isinstance(found, contract)
        return found


NOTHING_READ = Readings()
