"""Importing single resources of the AWS provider bindings in a fraction of the time.

``cdktf_cdktf_provider_aws/__init__.py`` imports some 2,200 submodules as soon as any of them is asked for
(terraform-cdk issue 3753). A bare module of that name, registered before the first such import, leaves only those that
are really used, and so does a hook in Node.js, where as many modules are behind them. The synthesized output is the
same; ``tests/stacks/test_lazy_provider.py`` compares the bytes. What else was tried:
docs/decisions/synthesis-in-seconds.md.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType

from shared.node import lazy_provider, use_supported_node

PACKAGE = "cdktf_cdktf_provider_aws"


def import_cdktf() -> None:
    """Import `cdktf`, which starts Node.js, and register the bare provider package.

    Must run before anything else imports either. ``TRIPOINT_STOCK_PROVIDER=1`` keeps the stock import of all modules,
    to compare with.
    """
    use_supported_node()
    if os.environ.get("TRIPOINT_STOCK_PROVIDER") == "1":
        return
    with lazy_provider():
        _use_one_process()
        import cdktf  # noqa: F401
    _register_bare_package()


def _use_one_process() -> None:
    if "constructs" in sys.modules or "JSII_RUNTIME" in os.environ:
        return  # it runs already, or is somebody's own
    try:
        from shared.kernel import use_one_process
    except ImportError:  # an operating system without what it takes, or a jsii that is made otherwise
        return
    use_one_process()


def _register_bare_package() -> None:
    if PACKAGE in sys.modules:
        return
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        return
    package = ModuleType(PACKAGE)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[PACKAGE] = package
