// An OpenID provider, node-oidc-provider, for one client. Whoever comes is Ada, unless the environment says that she refuses.
// Prints a line when it listens. Environment: MODULES, CLIENT, SECRET, PORT, REDIRECT.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const entry = createRequire(`${process.env.MODULES}/`).resolve("oidc-provider");
const { Provider } = await import(pathToFileURL(entry));
const { CLIENT, PORT, REDIRECT, SECRET } = process.env;

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
    clients: [{ client_id: CLIENT, client_secret: SECRET, redirect_uris: [REDIRECT] }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    findAccount: (_, sub) => ({
        accountId: sub,
        claims: () => ({ sub, email: `${sub}@example.org`, email_verified: true, name: "Ada" }),
    }),
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: async ({ oidc }) => {
        const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
        grant.addOIDCScope("openid email profile");
        await grant.save();
        return grant;
    },
});

let refuses = false;
const callback = provider.callback();
const server = createServer(async (request, response) => {
    if (request.url === "/refuse") {
        refuses = true;
        return response.end();
    }
    if (!request.url.startsWith("/interaction/")) return callback(request, response);
    const result = refuses ? { error: "access_denied", error_description: "she does not want to" } : { login: { accountId: "ada" } };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
});
server.listen(Number(PORT), "127.0.0.1", () => console.log("listening"));
