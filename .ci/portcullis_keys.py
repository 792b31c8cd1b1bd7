"""The service's own API keys, for detect-secrets: the pattern of docs/api-keys.md."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class PortcullisKeyDetector(RegexBasedDetector):
    secret_type = "Portcullis API Key"
    denylist = [re.compile(r"pc_(?:live|dev)_[0-9a-f]{32}_[0-9A-Za-z]{49}")]
