// Cookies as a browser keeps them: no script reads them, no sibling site sets them, none is sent where it need not be.
import { ORIGIN, browse, call, expect, otherSite, signIn } from "./browser.mjs";

const HOST = new URL(ORIGIN).hostname;

/** Flags by name. `domain` without a dot: this host alone. */
async function flags(context) {
    const cookies = await context.cookies(`${ORIGIN}/v1/auth/token/refresh`);
    return Object.fromEntries(cookies.map(({ name, domain, path, httpOnly, secure, sameSite }) => [name, { domain, path, httpOnly, secure, sameSite }]));
}

await browse(async (page, context) => {
    const strict = { domain: HOST, path: "/", httpOnly: true, secure: true, sameSite: "Strict" };
    const { csrf_token: csrf } = await signIn(page);
    expect(await flags(context), { "__Host-portcullis-device": strict, "__Host-portcullis": strict }, "the cookies of a session");
    expect(await page.evaluate(() => document.cookie), "", "what a script sees of them");

    await otherSite("shop.example.test", async (origin) => {
        const sibling = await context.newPage();
        await sibling.goto(origin);
        const before = await context.cookies(ORIGIN);
        await sibling.evaluate(() => {
            document.cookie = "__Host-portcullis=planted; Secure; Path=/; Domain=example.test";
            document.cookie = "__Host-portcullis=planted; Secure; Path=/v1; Domain=example.test";
            document.cookie = "planted=1; Secure; Path=/; Domain=example.test";
        });
        const after = await context.cookies(ORIGIN);
        expect(after.filter(({ name }) => name !== "planted"), before, "after a sibling tried to set them");
        expect(after.length, before.length + 1, "a sibling can set others");
    });
    expect((await call(page, "GET", "/v1/me")).status, 200, "the session goes on");

    // a page that keeps its access token in memory, and its refresh token in a cookie
    const { access_token: first } = await signIn(page, { transport: "token", refresh_in: "cookie" }, csrf);
    const kept = await flags(context);
    expect(kept["__Secure-portcullis-refresh"], { ...strict, path: "/v1/auth" }, "the refresh token's cookie");
    expect(kept["__Host-portcullis-refresh-tie"], strict, "its tie");
    expect("__Host-portcullis" in kept, false, "a session's cookie");
    const refreshed = await call(page, "POST", "/v1/auth/token/refresh", { body: {} });
    expect([refreshed.status, refreshed.json.access_token === first], [200, false], "refreshed by cookie");
    expect((await context.cookies(`${ORIGIN}/v1/me`)).some(({ name }) => name === "__Secure-portcullis-refresh"), false, "sent to other calls");
});
