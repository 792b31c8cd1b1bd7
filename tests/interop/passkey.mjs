// Registers a passkey and signs in with it, without a browser: nid-webauthn-emulator. Arguments: URL, origin, address, password.
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
    const json = await answer.json();
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${JSON.stringify(json)}`);
    return json;
}

const how = { transport: "token", refresh_in: "body" };
const { access_token } = await post("/v1/auth/login", { email, password, ...how });
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
