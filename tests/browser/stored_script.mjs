// Script that somebody stored as their name stays text wherever a browser is led to. The same bytes as a page without our headers do run.
import { ORIGIN, browse, call, expect, signIn } from "./browser.mjs";

const PAYLOAD = "<img src=x onerror=document.title='ran'>";

async function ran(page, url) {
    const answer = await page.goto(url);
    // what a broken image of the payload would have done by now
    await page.evaluate(() => Promise.all([...document.images].map((image) => image.complete || new Promise((done) => (image.onerror = image.onload = done)))));
    return [(await page.title()) === "ran", answer];
}

await browse(async (page, context) => {
    const { csrf_token: csrf } = await signIn(page);
    const stored = await call(page, "PATCH", "/v1/me", { body: { name: PAYLOAD, about: `<b>x</b>${PAYLOAD}` }, csrf });
    expect(stored.status, 200, "the name is taken");
    expect(stored.json.about, "<b>x</b>", "the rich text is cleaned");

    const victim = await context.newPage();
    let bytes;
    for (const path of ["/v1/me", "/v1/users", "/v1/audit/events", `/v1/${PAYLOAD}`, `/v1/users?cursor=${PAYLOAD}`]) {
        const [has, answer] = await ran(victim, ORIGIN + path);
        expect(has, false, `${path} ran`);
        expect(await victim.evaluate(() => document.contentType), "application/json", path);
        if (path === "/v1/me") bytes = await answer.text();
    }
    for (const page of ["reset", "register", "disown", "trust"]) {
        const [has] = await ran(victim, `${ORIGIN}/go/${page}?q=${PAYLOAD}#token=${PAYLOAD}`);
        expect(has, false, `/go/${page} ran`);
    }

    expect(bytes.includes(PAYLOAD), true, "the payload is in the answer as it was sent");
    await victim.route("https://evil.test/", (route) => route.fulfill({ contentType: "text/html", body: bytes }));
    await victim.goto("https://evil.test/");
    await victim.waitForFunction(() => document.title === "ran");
});
