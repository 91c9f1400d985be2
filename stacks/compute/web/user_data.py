"""What an instance does when it starts: fetch the application, check it, run it. No I/O."""

from __future__ import annotations

import base64
from string import Template

_SCRIPT = Template(
    """\
#!/bin/bash
# Whatever fails here leaves the target unhealthy: the launch is given up and tried again.
set -euo pipefail
install -d -m 755 /opt/web
aws s3 cp --region $region --only-show-errors s3://$bucket/$key /opt/web/app.py
echo "$sha256  /opt/web/app.py" | sha256sum --check --quiet
chmod 644 /opt/web/app.py
cat > /etc/systemd/system/web.service <<'UNIT'
[Unit]
Description=Web tier
Wants=network-online.target
After=network-online.target

[Service]
Environment=AWS_REGION=$region
ExecStart=/usr/bin/python3 /opt/web/app.py $port
DynamicUser=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateDevices=yes
# The instance's credentials are for fetching the application, not for the application.
IPAddressDeny=169.254.169.254
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now web.service
"""
)


def user_data(*, region: str, bucket: str, key: str, sha256: str, port: int) -> str:
    """The start script, base64-encoded as launch templates want it."""
    script = _SCRIPT.substitute(region=region, bucket=bucket, key=key, sha256=sha256, port=port)
    return base64.b64encode(script.encode()).decode()
