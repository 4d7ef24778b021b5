// Prints a token for each algorithm, signed by Node, and the key to check it by.
import { SignJWT, exportJWK, generateKeyPair } from "jose";

const issued = {};
for (const alg of ["RS256", "PS256", "ES256", "EdDSA"]) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  issued[alg] = { jwk: await exportJWK(publicKey), token: await new SignJWT({ sub: "ada" }).setProtectedHeader({ alg }).sign(privateKey) };
}
console.log(JSON.stringify(issued));
