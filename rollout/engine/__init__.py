"""The engine: carries out what a command asks for. One module per command; `run.py` is what they share."""

from rollout.engine.engine import Engine
from rollout.engine.run import Steps

__all__ = ["Engine", "Steps"]
