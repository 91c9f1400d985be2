"""Importing single resources of the AWS provider bindings in a fraction of the time.

``cdktf_cdktf_provider_aws/__init__.py`` imports some 2,200 submodules as soon as any of them is asked for
(terraform-cdk issue 3753). A bare module of that name, registered before the first such import, leaves only those that
are really used. The synthesized output is the same; ``tests/stacks/test_lazy_provider.py`` compares the bytes.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType

PACKAGE = "cdktf_cdktf_provider_aws"


def import_provider_lazily() -> None:
    """Register the bare package. Must run before the first import of the provider; ``TRIPOINT_STOCK_PROVIDER=1``
    keeps the stock import, to compare with."""
    if PACKAGE in sys.modules or os.environ.get("TRIPOINT_STOCK_PROVIDER") == "1":
        return
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        return
    package = ModuleType(PACKAGE)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[PACKAGE] = package
