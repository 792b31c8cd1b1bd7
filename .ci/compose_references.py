"""What the schema of Compose files cannot see: names that are used and not defined. Argument: the file."""
import sys

from ruamel.yaml import YAML

file = YAML(typ="safe").load(open(sys.argv[1], encoding="utf-8"))
services = file["services"]
problems = []


def names(entries, key):
    """Of a short list, a long list, or a mapping."""
    if isinstance(entries, dict):
        return list(entries)
    return [entry.get(key) if isinstance(entry, dict) else entry for entry in entries or []]


for name, service in services.items():
    if not {"image", "build"} & service.keys():
        problems.append(f"{name}: neither image nor build")
    problems += [f"{name}: depends on {other}" for other in names(service.get("depends_on"), "") if other not in services]
    problems += [f"{name}: network {other}" for other in names(service.get("networks"), "") if other not in file.get("networks", {})]
    volumes = [volume.split(":")[0] for volume in service.get("volumes", []) if isinstance(volume, str)]
    problems += [f"{name}: volume {other}" for other in volumes if other[0] not in "./" and other not in file.get("volumes", {})]
print("\n".join(problems) or "ok -- every name is defined")
sys.exit(bool(problems))
