// Verifies an access token with jose. Arguments: URL of the keys, issuer and audience, algorithm, token.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const entry = createRequire(`${process.env.MODULES}/`).resolve("jose");
const { createRemoteJWKSet, errors, jwtVerify } = await import(pathToFileURL(entry));
const [keys, issuer, algorithm, token] = process.argv.slice(2);
try {
    const options = { issuer, audience: issuer, algorithms: [algorithm], typ: "at+jwt", requiredClaims: ["sub", "jti", "nbf", "iat"] };
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(keys)), options);
    if (!payload.scope.split(" ").includes("roles:manage")) throw new Error("another scope");
    console.log("root:", payload.acr, ...payload.amr);
} catch (error) {
    if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    console.log("refused");
}
