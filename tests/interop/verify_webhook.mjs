// Verifies webhooks as the library of Standard Webhooks for JavaScript does. A line of input each: secret, headers and body in JSON. `v1a` signatures
// are verified by Node's own Ed25519, as docs/webhooks.md shows it: the library knows `v1` only.
import { createPublicKey, verify } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { Webhook, WebhookVerificationError } = createRequire(`${process.env.MODULES}/`)("standardwebhooks");

function isSignedByKey(whpk, headers, body) {
    const x = Buffer.from(whpk.slice("whpk_".length), "base64").toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
    const signatures = headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"));
    return signatures.some((one) => verify(null, signed, key, Buffer.from(one.slice("v1a,".length), "base64")));
}

for await (const line of createInterface({ input: process.stdin })) {
    const [secret, headers, body] = JSON.parse(line);
    try {
        if (secret.startsWith("whpk_")) {
            console.log(isSignedByKey(secret, headers, body) ? JSON.parse(body).type : "refused");
        } else {
            console.log(new Webhook(secret).verify(body, headers).type);
        }
    } catch (error) {
        if (!(error instanceof WebhookVerificationError)) throw error;
        console.log("refused");
    }
}
