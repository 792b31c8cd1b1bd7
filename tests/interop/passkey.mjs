// Registers a passkey and signs in with it, without a browser: nid-webauthn-emulator. Arguments: URL, origin, address, password.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const entry = createRequire(`${process.env.MODULES}/`).resolve("nid-webauthn-emulator");
const { default: module } = await import(pathToFileURL(entry));
const Emulator = module.default ?? module;
const [url, origin, email, password] = process.argv.slice(2);
const device = new Emulator();

async function post(path, body, token) {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
    const text = await answer.text();
    const json = text ? JSON.parse(text) : null;
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${JSON.stringify(json)}`);
    return json;
}

/** What the first letter says; waits for it. */
async function mailed(pattern) {
    for (let tries = 0; tries < 500; tries++) {
        const names = existsSync(process.env.MAIL) ? readdirSync(process.env.MAIL).filter((name) => name.endsWith(".eml")) : [];
        const found = names.map((name) => pattern.exec(readFileSync(`${process.env.MAIL}/${name}`, "utf8"))).find(Boolean);
        if (found) return found[1];
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("no letter came");
}

const how = { transport: "token", refresh_in: "body" };
const { access_token } = await post("/v1/auth/login", { email, password, ...how });
const { proof_id } = await post("/v1/me/mailbox", {}, access_token);
await post("/v1/me/mailbox/confirm", { proof_id, code: await mailed(/where you began: (\d{8})/) }, access_token);
const begun = await post("/v1/me/passkeys/options", {}, access_token);
const credential = device.createJSON(origin, begun.options);
const { passkey } = await post("/v1/me/passkeys", { token: begun.token, name: "Emulator", credential }, access_token);
console.log("registered", passkey.name);

const asked = await post("/v1/auth/passkeys/options", {});
const signedIn = await post("/v1/auth/passkeys/login", { token: asked.token, credential: device.getJSON(origin, asked.options), ...how });
const { acr, amr } = JSON.parse(Buffer.from(signedIn.access_token.split(".")[1], "base64url"));
console.log("signed in", acr, ...amr);

const { mfa_token } = await post("/v1/auth/login", { email, password, ...how });
const second = await post("/v1/auth/mfa/options", { mfa_token });
await post("/v1/auth/mfa/verify", { mfa_token, passkey: device.getJSON(origin, second.options) });
console.log("second factor");
