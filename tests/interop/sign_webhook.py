"""Signs a webhook: standardwebhooks with a whsec_ secret, cryptography's Ed25519 with a whsk_ key. Arguments: key, id, body. Prints the headers."""
import base64
import sys
from datetime import datetime, timezone

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

key, message, body = sys.argv[1:]
now = datetime.now(timezone.utc)
if key.startswith("whsk_"):
    signed = f"{message}.{int(now.timestamp())}.{body}".encode()
    signature = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key[5:])).sign(signed)
    signatures = f"v1a,{base64.b64encode(signature).decode()}"
else:
    signatures = Webhook(key).sign(message, now, body)
print(f"webhook-id: {message}\nwebhook-timestamp: {int(now.timestamp())}\nwebhook-signature: {signatures}")
