import { SignJWT, importJWK, jwtVerify } from "jose";
import issued from "./issued.json"; // what jose signed in Node, with the keys to check it by: see issue.mjs

const secret = new TextEncoder().encode("a secret that is long enough for HS256");

const checks = async (alg: keyof typeof issued) => {
  const { jwk, token } = issued[alg];
  const key = await importJWK(jwk, alg);
  const { payload } = await jwtVerify(token, key);
  const [head, body, signature] = token.split(".");
  const forged = [head, body, (signature[0] === "A" ? "B" : "A") + signature.slice(1)].join(".");
  return payload.sub === "ada" && jwtVerify(forged, key).then(() => false, e => e.code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED");
};

export const signatures = {
  "jose HS256": async () => {
    const token = await new SignJWT({ sub: "ada" }).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(secret);
    return (await jwtVerify(token, secret)).payload.sub === "ada";
  },
  "jose RS256": () => checks("RS256"),
  "jose PS256": () => checks("PS256"),
  "jose ES256": () => checks("ES256"),
  "jose EdDSA": () => checks("EdDSA"),
};
