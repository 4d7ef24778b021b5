// An issuer of tokens made with npm's jose, which shares no code with Evoke. It serves OpenID discovery and its keys, and signs whatever claims are posted to
// /sign?alg=…: "none" and HS256 as well, which nobody must take.
import http from 'node:http'
import * as jose from 'jose'

const keys = {}
async function rotate() {
  for (const alg of ['RS256', 'PS384', 'ES256', 'ES512', 'EdDSA']) {
    const { publicKey, privateKey } = await jose.generateKeyPair(alg)
    const jwk = await jose.exportJWK(publicKey)
    keys[alg] = { kid: await jose.calculateJwkThumbprint(jwk), jwk, privateKey }
  }
}
await rotate()

async function sign(alg, claims) {
  if (alg === 'none') return new jose.UnsecuredJWT(claims).encode()
  if (alg === 'HS256') { // with a secret that everybody knows: the public key
    const { jwk, kid } = keys.RS256
    return new jose.SignJWT(claims).setProtectedHeader({ alg, kid }).sign(new TextEncoder().encode(JSON.stringify(jwk)))
  }
  return new jose.SignJWT(claims).setProtectedHeader({ alg, kid: keys[alg].kid, typ: 'at+jwt' }).sign(keys[alg].privateKey)
}

const server = http.createServer(async (req, res) => {
  const url = new URL(req.url, 'http://' + req.headers.host)
  const self = 'http://' + req.headers.host
  let body = ''
  for await (const part of req) body += part
  switch (url.pathname) {
    case '/.well-known/openid-configuration':
      return res.end(JSON.stringify({ issuer: self, jwks_uri: self + '/keys' }))
    case '/keys':
      return res.end(JSON.stringify({ keys: Object.values(keys).map(({ kid, jwk }) => ({ ...jwk, kid, use: 'sig' })) }))
    case '/rotate':
      await rotate()
      return res.end()
    case '/sign':
      return res.end(await sign(url.searchParams.get('alg'), { iss: self, ...JSON.parse(body) }))
  }
  res.statusCode = 404
  res.end()
})
server.listen(0, '127.0.0.1', () => console.log('http://127.0.0.1:' + server.address().port))
