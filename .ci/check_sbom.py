"""Fails unless a bill of materials is CycloneDX by the standard's own schema, and says of the crates what Cargo.toml and Cargo.lock say."""

import json
import sys
import tomllib
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = Path(sys.argv[1]).read_text()
if wrong := JsonStrictValidator(SchemaVersion.V1_5).validate_str(text):
    sys.exit(f"{sys.argv[1]} is no CycloneDX 1.5: {wrong}")

bom = json.loads(text)
locked = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.loads(Path("Cargo.lock").read_text())["package"]}
manifest = tomllib.loads(Path("Cargo.toml").read_text())
defaults = {use.removeprefix("dep:") for feature in manifest["features"]["default"] for use in manifest["features"][feature]}
wanted = {name for name, use in manifest["dependencies"].items() if isinstance(use, str) or not use.get("optional") or name in defaults}
faults = [f"{c['name']} {c['version']} is not what Cargo.lock has" for c in bom["components"] if c["hashes"][0]["content"] != locked.get((c["name"], c["version"]))]
listed = {c["name"] for c in bom["components"]}
faults += [f"{name} is missing" for name in sorted(wanted - listed)]
# what only the tests use, and what .deny.toml bans
faults += [f"{name} is not in the build" for name in ("ring", "tempfile", "openssl-sys") if name in listed]
faults += [f"{name} is of no licence" for name in sorted({c["name"] for c in bom["components"] if not c.get("licenses")})]
faults += ["it names files of this machine"] if "file://" in text else []
if faults:
    sys.exit("\n".join(faults))
print(f"{sys.argv[1]}: {len(bom['components'])} crates")
