"""Looks for secrets with detect-secrets, in what is there and in every line that was ever committed.

    secrets.py            fails on each find that `.secrets.baseline` does not know, and on entries of it that nobody needs
    secrets.py --accept   shows each new find and writes it down as looked at: commit that only if none of them opens anything

The baseline is in detect-secrets' own form. What it leaves out: the digests of Cargo.lock, package-lock.json and .sqlx, by their whole line;
and lower-case words with a space, an underscore or a dot between them, which are names of events and settings, and what people in tests
choose for a password. A comment in the source lets nothing through, and nothing that is found is tried out over the network.

Finding nothing is worth what would have been found: first come planted secrets, one a kind, made anew each time.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from detect_secrets import SecretsCollection
from detect_secrets.settings import transient_settings

BASELINE = Path(".secrets.baseline")
# what the service, its containers and its developers keep beside the source
SECRET_FILES = [".env", ".env.production", "data/tls/key.pem", "data/key-encryption-key", "ca.pem", "server.key", "mail.p12", "secrets/owner/password", ".pgpass", ".npmrc", "accounts.dump"]


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True).stdout


def prove_that_it_ignores():
    """Ends the program if .gitignore lets in what holds secrets, or if such a file was forced in."""
    let_in = [name for name in SECRET_FILES if subprocess.run(["git", "check-ignore", "--quiet", "--no-index", name]).returncode]
    let_in += git("ls-files", "--cached", "--ignored", "--exclude-standard").decode().splitlines()
    if let_in:
        sys.exit(f".gitignore must keep out: {', '.join(let_in)}")


def planted():
    """One secret of each kind that a repository loses most often, by the name of the detector that must see it."""
    letters = os.urandom(40).hex()
    return {
        "AWS Access Key": "AKIA" + base64.b32encode(os.urandom(10)).decode(),
        "Base64 High Entropy String": f'key = "{base64.b64encode(bytes(range(1, 250, 5))).decode()}"',
        "Basic Auth Credentials": f"postgres://service:{letters[:20]}@db.internal/accounts",
        "GitHub Token": f"ghp_{letters[:36]}",
        "Hex High Entropy String": f'key = "{bytes(range(1, 250, 7)).hex()}"',
        "JSON Web Token": "eyJhbGciOiJFZERTQSJ9." + base64.urlsafe_b64encode(b'{"sub":"x1"}').decode().rstrip("=") + "." + letters,
        "Portcullis API Key": f"pc_live_{letters[:32]}_{letters[:49]}",
        "Private Key": "-----BEGIN " + "PRIVATE KEY-----",
        "Secret Keyword": f'password = "{letters[:18]}Q"',
        "Slack Token": f"xoxb-{'1' * 11}-{'2' * 11}-{letters[:24]}",
        "Stripe Access Key": f"rk_live_{letters[:24]}",
    }


def prove_that_it_sees():
    """Ends the program unless every planted secret is found."""
    with tempfile.TemporaryDirectory() as folder:
        blind = []
        for kind, line in planted().items():
            file = Path(folder, "planted.py")
            file.write_text(line + "\n")
            if kind not in {secret.type for _, secret in scan(folder, ["planted.py"])}:
                blind.append(kind)
        if blind:
            sys.exit(f"planted, and not found: {', '.join(blind)}; the scan is worth nothing")


def lines_of_history():
    """Each line that a commit added, by the path that it had; and what commits say."""
    if git("rev-parse", "--is-shallow-repository").strip() == b"true":
        sys.exit("the clone is shallow, the history cannot be scanned: git fetch --unshallow")
    lines, path, left = {}, None, 0
    # -m: what a merge itself brought in, too
    for line in git("-c", "log.showRoot=true", "log", "-m", "-p", "-U0", "--text", "--no-renames", "--no-ext-diff", "--no-textconv", "--format=").split(b"\n"):
        if left and line.startswith(b"+"):
            lines.setdefault(path, {})[line[1:]] = None
            left -= 1
        elif hunk := re.match(rb"@@ -\S+ \+\d+(?:,(\d+))? @@", line):
            left = int(hunk[1] or 1)
        elif line.startswith(b"+++ b/"):
            path = line[6:].decode(errors="replace")
        elif line.startswith(b'+++ "b/'):
            path = line[7:-1].decode(errors="replace")
    return lines | {"COMMIT_MESSAGES": dict.fromkeys(git("log", "--format=%B").split(b"\n"))}


def scan(root, paths):
    found = SecretsCollection(root=str(root))
    found.scan_files(*paths)
    return list(found)


def finds():
    """Path and find: all of the tree, then all of lines that are in it no more."""
    tree = [path for path in git("ls-files", "-z").decode().split("\0") if path and Path(path).is_file() and path != str(BASELINE)]
    yield from scan(".", tree)
    with tempfile.TemporaryDirectory() as folder:
        gone = {}
        for path, lines in lines_of_history().items():
            now = set(Path(path).read_bytes().split(b"\n")) if path in tree else set()
            lost = [line for line in lines if line not in now]
            if lost and path != str(BASELINE):
                # paths of the history are names that others chose: not of files here. The ending says how to read it
                ending = Path(path).suffix if re.fullmatch(r"\.\w+", Path(path).suffix) else ""
                name = hashlib.sha256(path.encode()).hexdigest() + ending
                Path(folder, name).write_bytes(b"\n".join(lost) + b"\n")
                gone[name] = path
        for name, secret in scan(folder, gone):
            yield gone[name], secret


def main():
    config = json.loads(BASELINE.read_text())
    own = {"name": "PortcullisKeyDetector", "path": Path(".ci/portcullis_keys.py").absolute().as_uri()}
    with transient_settings({"plugins_used": [*config["plugins_used"], own], "filters_used": config["filters_used"]}):
        prove_that_it_ignores()
        prove_that_it_sees()
        found = {(path, secret.type, secret.secret_hash): secret for path, secret in finds()}
    known = {}
    for path, entries in config["results"].items():
        for entry in entries:
            if entry.get("is_secret") is not False:
                sys.exit(f"{BASELINE}: {path}: an entry that is not marked as no secret")
            known[path, entry["type"], entry["hashed_secret"]] = entry

    if "--accept" in sys.argv:
        for key in found.keys() - known.keys():
            print(f"{key[0]}: {key[1]}: {found[key].secret_value}")
        results = {}
        for path, kind, digest in sorted(found):
            results.setdefault(path, []).append({"type": kind, "hashed_secret": digest, "is_secret": False})
        write(config | {"results": results})
        return
    for path, kind, digest in sorted(found.keys() - known.keys()):
        print(f"{path}: {kind} {digest[:12]}: if it opens anything, change it where it does; if not, {sys.argv[0]} --accept")
    for path, kind, digest in sorted(known.keys() - found.keys()):
        print(f"{BASELINE}: {path}: {kind} {digest[:12]}: nobody needs this entry; {sys.argv[0]} --accept takes it out")
    if found.keys() != known.keys():
        sys.exit(1)
    print(f"no secrets in the tree and in its history ({len(known)} finds looked at)")


def write(config):
    """JSON with a line for each setting and each find: a diff shows what was added."""
    results = config.pop("results")
    text = ["{"]
    for key, value in config.items():
        if isinstance(value, list):
            text += [f"  {json.dumps(key)}: [", ",\n".join(f"    {json.dumps(item)}" for item in value), "  ],"]
        else:
            text.append(f"  {json.dumps(key)}: {json.dumps(value)},")
    text.append('  "results": {')
    text.append(",\n".join(f"    {json.dumps(path)}: [\n" + ",\n".join(f"      {json.dumps(item)}" for item in items) + "\n    ]" for path, items in results.items()))
    text += ["  }", "}", ""]
    BASELINE.write_text("\n".join(text))


main()
