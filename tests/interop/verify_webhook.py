"""Verifies webhooks as the library of Standard Webhooks for Python does. A line of input each: secret, headers and body in JSON."""
import json
import sys
from standardwebhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    secret, headers, body = json.loads(line)
    try:
        print(Webhook(secret).verify(body, headers)["type"])
    except WebhookVerificationError:
        print("refused")
