// Signs a webhook: standardwebhooks with a whsec_ secret, Node's own Ed25519 with a whsk_ key. Arguments: key, id, body. Prints the headers.
import { createPrivateKey, sign } from "node:crypto";
import { createRequire } from "node:module";

const { Webhook } = createRequire(`${process.env.MODULES}/`)("standardwebhooks");
const [key, message, body] = process.argv.slice(2);
const now = new Date();
const seconds = Math.floor(now.getTime() / 1000);
let signatures;
if (key.startsWith("whsk_")) {
    // the head of PKCS #8 for an Ed25519 seed (RFC 8410)
    const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(key.slice(5), "base64")]);
    const signature = sign(null, Buffer.from(`${message}.${seconds}.${body}`), createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
    signatures = `v1a,${signature.toString("base64")}`;
} else {
    signatures = new Webhook(key).sign(message, now, body);
}
console.log(`webhook-id: ${message}\nwebhook-timestamp: ${seconds}\nwebhook-signature: ${signatures}`);
