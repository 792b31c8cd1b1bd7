// Chromium with a page of the service and somebody signed in; and pages of other sites, on this machine.
import { X509Certificate, createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";

const { chromium } = createRequire(`${process.env.MODULES}/`)("playwright-core");
export const { ORIGIN, PASSWORD } = process.env;
export const EMAIL = "root@example.org";
const [cert, key] = [process.env.CERTIFICATE, process.env.KEY].map((file) => readFileSync(file));

function executable() {
    const names = ["chromium", "chromium-browser", "google-chrome"].map((name) => `/usr/bin/${name}`);
    const found = [process.env.CHROMIUM, ...names].find((path) => path && existsSync(path));
    if (!found) throw new Error("Chromium is missing: install it, or name it in CHROMIUM");
    return found;
}

/** Runs `work` with a page of the service, whose browser is closed afterwards. */
export async function browse(work) {
    const spki = new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" });
    const browser = await chromium.launch({
        executablePath: executable(),
        args: [
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP *.test 127.0.0.1",
            // trusted as if an authority had signed it; all other rules for certificates hold
            `--ignore-certificate-errors-spki-list=${createHash("sha256").update(spki).digest("base64")}`,
        ],
    });
    try {
        const context = await browser.newContext();
        const page = await context.newPage();
        await page.goto(`${ORIGIN}/docs/index.html`);
        await work(page, context);
    } finally {
        await browser.close();
    }
}

/** A call by a script of the page: status, JSON body. */
export function call(page, method, path, { body, csrf } = {}) {
    return page.evaluate(
        async ([method, url, body, csrf]) => {
            const headers = { ...(body && { "content-type": "application/json" }), ...(csrf && { "x-csrf-token": csrf }) };
            const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
            const text = await answer.text();
            return { status: answer.status, json: text ? JSON.parse(text) : null };
        },
        [method, ORIGIN + path, body, csrf],
    );
}

/** Signs the administrator in; gives the answer's body. */
export async function signIn(page, how = {}, csrf) {
    const { status, json } = await call(page, "POST", "/v1/auth/login", { body: { email: EMAIL, password: PASSWORD, ...how }, csrf });
    expect(status, 200, "sign-in");
    return json;
}

/** What the first letter says; waits for it. */
export async function mailed(pattern) {
    for (let tries = 0; tries < 500; tries++) {
        const names = existsSync(process.env.MAIL) ? readdirSync(process.env.MAIL).filter((name) => name.endsWith(".eml")) : [];
        const found = names.map((name) => pattern.exec(readFileSync(`${process.env.MAIL}/${name}`, "utf8"))).find(Boolean);
        if (found) return found[1];
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("no letter came");
}

/** Serves an empty page under another name; gives its origin. */
export async function otherSite(name, work) {
    const server = createServer({ cert, key }, (_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html><title>other</title>"));
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    try {
        await work(`https://${name}:${server.address().port}`);
    } finally {
        server.closeAllConnections();
        server.close();
    }
}

/** Fails unless both are the same, as JSON. */
export function expect(found, wanted, what) {
    const [is, should] = [found, wanted].map((value) => JSON.stringify(value));
    if (is !== should) throw new Error(`${what}: ${is} instead of ${should}`);
}
