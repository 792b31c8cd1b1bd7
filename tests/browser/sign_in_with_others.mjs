// A browser goes to the provider and comes back by our page: cookies that are Strict go along, the policy lets the page work, what the
// provider said leaves the address bar, and the same address in another browser opens nothing.
import { createHmac } from "node:crypto";
import { ORIGIN, browse, call, expect, mailed } from "./browser.mjs";

const PAGE = `${ORIGIN}/go/oauth/corp`;

async function begin(page, csrf) {
    const { status, json } = await call(page, "POST", "/v1/auth/oauth/corp/authorize", { body: {}, csrf });
    expect(status, 200, "begun");
    return json.authorization_url;
}

/** RFC 6238, of this moment. */
function code(secret) {
    const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
    const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
    const step = Buffer.alloc(8);
    step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
    const digest = createHmac("sha1", key).update(step).digest();
    return String((digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

await browse(async (page, context) => {
    // somebody who clicks the attacker's link, which comes from a browser that runs no script of the page
    const stranger = await context.browser().newContext({ javaScriptEnabled: false });
    const attackers = await stranger.newPage();
    await attackers.goto(`${ORIGIN}/docs/errors`);
    await attackers.goto(await begin(attackers));
    const link = attackers.url();
    if (!link.startsWith(`${PAGE}?`) || !link.includes("code=")) throw new Error(`the provider sent the browser to ${link}`);
    await page.goto(link);
    await page.getByText("What was begun is over").waitFor();
    expect((await call(page, "GET", "/v1/me")).status, 401, "nobody is signed in by a link");
    expect(page.url(), PAGE, "the address bar after a refusal");

    await page.goto(await begin(page));
    await page.getByText("You are signed in.").waitFor();
    expect([page.url(), await page.evaluate(() => location.search)], [PAGE, ""], "the address bar");
    const me = await call(page, "GET", "/v1/me");
    expect([me.status, me.json.email], [200, "ada@example.org"], "who is signed in");

    const csrf = async () => (await call(page, "GET", "/v1/auth/csrf")).json.csrf_token;
    const { json: letter } = await call(page, "POST", "/v1/me/mailbox", { csrf: await csrf() });
    const agreed = { proof_id: letter.proof_id, code: await mailed(/where you began: (\d{8})/) };
    expect((await call(page, "POST", "/v1/me/mailbox/confirm", { body: agreed, csrf: await csrf() })).status, 204, "agreed by mail");
    const secret = (await call(page, "POST", "/v1/me/mfa/totp", { body: {}, csrf: await csrf() })).json.secret;
    const added = await call(page, "POST", "/v1/me/mfa/totp/confirm", { body: { code: code(secret) }, csrf: await csrf() });
    expect(added.status, 200, "a second factor");
    await page.goto(await begin(page, await csrf()));
    await page.locator("input[name=code]").fill("000000");
    await page.getByRole("button").click();
    await page.getByText("The second factor is wrong").waitFor();
    await page.locator("input[name=code]").fill(added.json.recovery_codes[0]);
    await page.getByRole("button").click();
    await page.getByText("You are signed in.").waitFor();
    expect((await call(page, "GET", "/v1/me")).status, 200, "signed in with the second factor");

    await page.goto(PAGE);
    await page.getByText("Begin where you sign in").waitFor();
});
