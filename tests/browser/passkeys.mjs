// Passkeys as Chromium makes and uses them, with a virtual device: registered, signed in with and nothing else, as the second factor; and
// not at all for another site's page, nor by a device that does not verify its user.
import { EMAIL, ORIGIN, PASSWORD, browse, call, expect, mailed, otherSite, signIn } from "./browser.mjs";

const device = {
    protocol: "ctap2",
    ctap2Version: "ctap2_1",
    transport: "internal",
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
    defaultBackupEligibility: true,
    defaultBackupState: true,
};

/** The browser's own reading of our options, and its own JSON of what came of them. */
const create = (page, options) =>
    page.evaluate(async (json) => {
        const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(json);
        return (await navigator.credentials.create({ publicKey })).toJSON();
    }, options);
const get = (page, options) =>
    page.evaluate(async (json) => {
        const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(json);
        return (await navigator.credentials.get({ publicKey })).toJSON();
    }, options);

/** The name of the error that it ends with. */
const failure = (work) => work.then(() => "none", (error) => /(\w+Error):/.exec(error.message)?.[1] ?? error.message);

await browse(async (page, context) => {
    const devices = await context.newCDPSession(page);
    await devices.send("WebAuthn.enable");
    const { authenticatorId } = await devices.send("WebAuthn.addVirtualAuthenticator", { options: device });

    let { csrf_token: csrf } = await signIn(page);
    const { json: letter } = await call(page, "POST", "/v1/me/mailbox", { csrf });
    const agreed = { proof_id: letter.proof_id, code: await mailed(/where you began: (\d{8})/) };
    expect((await call(page, "POST", "/v1/me/mailbox/confirm", { body: agreed, csrf })).status, 204, "agreed by mail");
    const begun = await call(page, "POST", "/v1/me/passkeys/options", { csrf });
    expect(begun.status, 200, "options");
    const credential = await create(page, begun.json.options);
    const made = await call(page, "POST", "/v1/me/passkeys", { body: { token: begun.json.token, name: "Laptop", credential }, csrf });
    expect([made.status, made.json?.passkey?.is_backed_up, made.json?.recovery_codes?.length], [201, true, 10], `registered: ${JSON.stringify(made.json)}`);
    csrf = made.json.session.csrf_token;

    // the device has one of this account: it makes no second
    const again = await call(page, "POST", "/v1/me/passkeys/options", { csrf });
    expect(again.status, 200, "options once more");
    expect(await failure(create(page, again.json.options)), "InvalidStateError", "a second one on the same device");

    expect((await call(page, "POST", "/v1/auth/logout", { csrf })).status, 204, "signed out");
    const asked = await call(page, "POST", "/v1/auth/passkeys/options", { body: {} });
    const shown = await get(page, asked.json.options);
    const signedIn = await call(page, "POST", "/v1/auth/passkeys/login", { body: { token: asked.json.token, credential: shown } });
    expect(signedIn.status, 200, `signed in without a password: ${JSON.stringify(signedIn.json)}`);
    expect((await call(page, "GET", "/v1/me")).json.email, EMAIL, "who is signed in");
    const replayed = await call(page, "POST", "/v1/auth/passkeys/login", { body: { token: asked.json.token, credential: shown }, csrf: signedIn.json.csrf_token });
    expect(replayed.json.error.code, "INVALID_CHALLENGE", "the same once more");

    expect((await call(page, "POST", "/v1/auth/logout", { csrf: signedIn.json.csrf_token })).status, 204, "signed out again");
    const first = await call(page, "POST", "/v1/auth/login", { body: { email: EMAIL, password: PASSWORD } });
    expect([first.status, first.json.methods.includes("passkey")], [202, true], "a password alone");
    const { mfa_token } = first.json;
    const second = await call(page, "POST", "/v1/auth/mfa/options", { body: { mfa_token } });
    expect(second.json.options.allowCredentials.length, 1, "passkeys to choose from");
    const passkey = await get(page, second.json.options);
    const both = await call(page, "POST", "/v1/auth/mfa/verify", { body: { mfa_token, passkey } });
    expect(both.status, 200, `signed in with both: ${JSON.stringify(both.json)}`);

    await otherSite("evil.test", async (origin) => {
        const theirs = await context.newPage();
        await theirs.goto(origin);
        expect(await failure(get(theirs, asked.json.options)), "SecurityError", "our passkey on another site's page");
        await theirs.close();
    });

    await devices.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
    const unverified = await call(page, "POST", "/v1/auth/passkeys/options", { body: {}, csrf: both.json.csrf_token });
    expect(await failure(get(page, unverified.json.options)), "NotAllowedError", "a device that does not know who holds it");
    expect(new URL(page.url()).origin, ORIGIN, "where all of it happened");
});
