// Forms, fetches and frames of a sibling site, which gets the cookies sent, and of a foreign one, which does not.
import { ORIGIN, browse, call, expect, otherSite, signIn } from "./browser.mjs";

const NAME = "Ada";

/** What the service answered to what the page did. */
async function answerTo(page, path, act) {
    const [answer] = await Promise.all([page.waitForResponse((answer) => answer.url() === ORIGIN + path && answer.request().method() !== "OPTIONS"), act()]);
    const cookie = (await answer.request().allHeaders()).cookie ?? "";
    return { status: answer.status(), sentSession: /(^|; )__Host-portcullis=/.test(cookie) };
}

function submit([action, enctype]) {
    const form = Object.assign(document.createElement("form"), { action, method: "post", enctype });
    // as text/plain this is JSON
    form.append(Object.assign(document.createElement("input"), { name: '{"x":"', value: '"}' }));
    document.body.append(form);
    form.submit();
}

await browse(async (own, context) => {
    const { csrf_token: csrf } = await signIn(own);
    expect((await call(own, "PATCH", "/v1/me", { body: { name: NAME }, csrf })).status, 200, "a name");

    for (const [name, isSibling] of [["shop.example.test", true], ["evil.test", false]]) {
        await otherSite(name, async (origin) => {
            const page = await context.newPage();
            const home = () => page.goto(origin);
            await home();
            const told = (what) => `${name}, ${what}`;

            for (const encoding of ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]) {
                for (const path of ["/v1/auth/logout", "/v1/auth/logout-all", "/v1/me/export"]) {
                    const found = await answerTo(page, path, () => page.evaluate(submit, [ORIGIN + path, encoding]));
                    expect(found, { status: 403, sentSession: isSibling }, told(`a form of ${encoding} to ${path}`));
                    await page.waitForURL(ORIGIN + path);
                    await home();
                }
            }

            const refused = (url, init) =>
                page.evaluate(([url, init]) => fetch(url, { credentials: "include", ...init }).then(() => "read", () => "refused"), [url, init]);
            expect(await refused(`${ORIGIN}/v1/me`), "refused", told("reading"));
            // Cross-Origin-Resource-Policy keeps even the opaque answer from the page
            expect(await refused(`${ORIGIN}/v1/auth/logout`, { method: "POST", mode: "no-cors", body: "{}" }), "refused", told("a blind fetch"));
            const change = { method: "PATCH", headers: { "content-type": "application/json", "x-csrf-token": csrf }, body: '{"name":"Mallory"}' };
            expect(await refused(`${ORIGIN}/v1/me`, change), "refused", told("the token itself, stolen"));

            await page.evaluate((src) => document.body.append(Object.assign(document.createElement("iframe"), { src })), `${ORIGIN}/docs/index.html`);
            await page.waitForFunction(() => window.frames.length === 1);
            await page.waitForEvent("framenavigated", { predicate: (frame) => frame !== page.mainFrame(), timeout: 10_000 }).catch(() => {});
            const framed = page.frames().find((frame) => frame !== page.mainFrame());
            expect(framed.url().startsWith(ORIGIN), false, told("framed"));
            await page.close();
        });
    }
    const me = await call(own, "GET", "/v1/me");
    expect([me.status, me.json?.name], [200, NAME], "still signed in, and nothing has changed");
});
