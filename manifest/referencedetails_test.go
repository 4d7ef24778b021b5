package manifest

import "strings"

// detail is what the reference says about a key beside its description. Values are as they are written in fn.yaml.
type detail struct {
	// without is the value that holds when the key is left out; otherwise says so in words when it is none.
	without, otherwise string
	example            string
	// with are the other keys of the map that the example needs.
	with string
}

// detailOf is found like a description: by the end of the path.
func detailOf(path string) (string, detail) {
	for {
		if d, ok := details[path]; ok {
			return path, d
		}
		_, rest, more := strings.Cut(path, ".")
		if !more {
			return path, detail{}
		}
		path = rest
	}
}

// guides are the pages that say more about a section.
var guides = map[string]string{
	"http": "http.md", "cors": "http.md", "topic": "delivery.md", "batch": "batches.md", "cron": "cron.md", "webhook": "webhooks.md", "auth": "security.md", "jwt": "security.md", "key": "security.md",
	"retry": "delivery.md", "deadLetter": "deadletters.md", "concurrency": "flow.md", "throttle": "flow.md", "rateLimit": "flow.md", "adaptive": "flow.md", "scale": "scaling.md", "topics": "retention.md",
}

const hmac = "scheme: hmac, secret: hook_key, header: X-Signature"

var details = map[string]detail{
	"version":   {otherwise: "an error", example: "1"},
	"app":       {otherwise: "an error", example: "shop"},
	"defaults":  {example: "{ timeout: 5s, memory: 128Mi }"},
	"functions": {otherwise: "an error", example: "{ charge: { source: ./charge } }"},
	"topics":    {example: "{ orders.created: { ingress: true } }"},

	"timeout":        {without: "30s", example: "5s"},
	"memory":         {without: "64Mi", example: "128Mi"},
	"retry":          {example: "{ attempts: 5 }"},
	"retry.attempts": {without: "8", example: "5"},
	"retry.initial":  {without: "1s", example: "200ms"},
	"retry.factor":   {without: "2", example: "1.5"},
	"retry.max":      {without: "5m", example: "1h"},
	"retry.jitter":   {without: "full", example: "none"},
	"retry.maxAge":   {without: "24h", example: "7d"},

	"functions.source":     {otherwise: "`wasm`", example: "./charge"},
	"functions.wasm":       {otherwise: "`source`", example: "./charge.wasm"},
	"functions.on":         {otherwise: "only `fnctl invoke`", example: "[ { http: {} }, { topic: { name: orders } } ]"},
	"functions.env":        {example: "{ CURRENCY: EUR }"},
	"functions.secrets":    {otherwise: "none", example: "[stripe_key]"},
	"functions.warm":       {example: "./events/order.json", with: "source: ./order.ts"},
	"functions.reuse":      {without: "false", example: "true"},
	"functions.weight":     {without: "1", example: "4"},
	"functions.fair":       {otherwise: "in the order they came", example: "data.tenant"},
	"functions.allow":      {otherwise: "nothing", example: "{ state: true, emit: [orders.paid] }"},
	"allow.emit":           {otherwise: "none", example: `[orders.paid, "audit.>"]`},
	"allow.http":           {otherwise: "none", example: `[api.stripe.com, "*.example.com:8443"]`},
	"allow.invoke":         {otherwise: "none", example: "[price]"},
	"allow.state":          {without: "false", example: "true"},
	"functions.adaptive":   {without: "true", example: "{ latency: 2s }"},
	"adaptive.latency":     {otherwise: "found out", example: "2s"},
	"functions.deadLetter": {example: "{ keep: 30d }"},
	"deadLetter.keep":      {without: "14d", example: "30d"},
	"deadLetter.topic":     {otherwise: "none", example: "orders.dead"},
	"deadLetter.knative":   {without: "false", example: "true"},

	"functions.concurrency": {otherwise: "no limit", example: "[ 100, { limit: 2, key: data.customer } ]"},
	"concurrency.limit":     {otherwise: "an error", example: "2"},
	"concurrency.key":       {otherwise: "an error", example: "data.customer"},
	"functions.throttle":    {otherwise: "no limit", example: "{ limit: 10, period: 1s }"},
	"throttle.limit":        {otherwise: "an error", example: "10"},
	"throttle.period":       {otherwise: "an error", example: "1s"},
	"throttle.burst":        {otherwise: "evenly", example: "5", with: "limit: 10, period: 1s"},
	"throttle.key":          {otherwise: "all together", example: "subject"},
	"functions.rateLimit":   {otherwise: "no limit", example: "{ limit: 100, period: 1m }"},
	"rateLimit.limit":       {otherwise: "an error", example: "100"},
	"rateLimit.period":      {otherwise: "an error", example: "1m"},
	"rateLimit.key":         {otherwise: "all together", example: "subject"},
	"functions.scale":       {otherwise: "as events come", example: "{ min: 2, max: 50 }"},
	"scale.min":             {without: "0", example: "2"},
	"scale.max":             {otherwise: "no limit", example: "50"},

	"on.http":          {example: `{ method: POST, path: "/orders/{id}" }`},
	"http.method":      {otherwise: "any", example: "[GET, POST]"},
	"http.path":        {otherwise: "`/fn/NAME`", example: "/orders/{id}"},
	"http.host":        {otherwise: "any", example: "api.shop.example", with: "path: /orders"},
	"http.key":         {otherwise: "the header `Evoke-Key`", example: "header.X-Customer"},
	"http.compress":    {without: "false", example: "true"},
	"http.cors":        {otherwise: "none", example: `{ origins: "https://shop.example" }`},
	"cors.origins":     {otherwise: "an error", example: `["https://shop.example"]`},
	"cors.methods":     {otherwise: "those of the trigger", example: "[GET, POST]"},
	"cors.headers":     {without: "Content-Type", example: "[Authorization, Content-Type]"},
	"cors.expose":      {otherwise: "none", example: "[Location]"},
	"cors.credentials": {without: "false", example: "true"},
	"cors.maxAge":      {otherwise: "as the browser likes", example: "1h"},

	"on.topic":          {example: "{ name: orders, order: key }"},
	"topic.name":        {otherwise: "an error", example: `"orders.*"`},
	"filter":            {otherwise: "all", example: `"type = 'com.shop.order'"`},
	"order":             {without: "none", example: "key"},
	"onFailure":         {without: "skip", example: "park", with: "order: key"},
	"webhook.onFailure": {without: "skip", example: "park", with: "order: key, scheme: github, secret: hook_key"},
	"topic.start":       {without: "latest", example: "-2h"},
	"topic.delivery":    {without: "atLeastOnce", example: "atMostOnce"},
	"topic.priority":    {otherwise: "all the same", example: "data.urgency"},
	"topic.batch":       {without: "1", example: "{ size: 100, window: 500ms }"},
	"batch.size":        {otherwise: "an error", example: "100"},
	"batch.window":      {otherwise: "none", example: "500ms", with: "size: 100"},
	"on.cron":           {example: `"0 2 * * *"`},
	"cron.schedule":     {otherwise: "an error", example: `"30 7 * * MON-FRI"`},
	"cron.timezone":     {without: "UTC", example: "Europe/Berlin"},
	"cron.missed":       {without: "last", example: "all"},
	"cron.overlap":      {without: "allow", example: "queue"},
	"cron.jitter":       {otherwise: "none", example: "5m"},
	"on.webhook":        {example: "{ scheme: github, secret: github_key }"},
	"webhook.scheme":    {otherwise: "an error", example: "stripe", with: "secret: hook_key"},
	"webhook.secret":    {otherwise: "an error, but for `none`", example: "hook_key", with: "scheme: github"},
	"webhook.path":      {otherwise: "`/webhooks/NAME`", example: "/webhooks/stripe"},
	"webhook.key":       {otherwise: "the subject", example: "data.repository.full_name", with: "scheme: github, secret: hook_key"},
	"webhook.origins":   {otherwise: "any", example: "[eventgrid.azure.net]"},

	"webhook.tolerance":       {without: "5m", example: "1m", with: "scheme: stripe, secret: hook_key"},
	"webhook.idHeader":        {otherwise: "none", example: "X-Delivery", with: hmac},
	"webhook.header":          {otherwise: "an error", example: "X-Signature", with: "scheme: hmac, secret: hook_key"},
	"webhook.prefix":          {otherwise: "none", example: `"sha256="`, with: hmac},
	"webhook.encoding":        {without: "hex", example: "base64", with: hmac},
	"webhook.algorithm":       {without: "sha256", example: "sha512", with: hmac},
	"webhook.timestampHeader": {otherwise: "none", example: "X-Time", with: hmac},
	"webhook.signed":          {otherwise: "`{body}`; with a time `{timestamp}.{body}`", example: `"{timestamp}:{body}"`, with: hmac + ", timestampHeader: X-Time"},

	"auth":         {without: "none", example: "key"},
	"topics.auth":  {without: "none", example: "{ key: { names: [partner] } }", with: "ingress: true"},
	"auth.key":     {example: "{ names: [web] }"},
	"key.names":    {otherwise: "all that are for it", example: "[web, partner]"},
	"auth.jwt":     {example: "{ issuer: https://id.example.com, audience: shop }"},
	"jwt.issuer":   {otherwise: "an error", example: "https://id.example.com"},
	"jwt.audience": {otherwise: "an error", example: "shop"},
	"jwt.jwks":     {otherwise: "asked of the issuer", example: "https://id.example.com/keys.json"},
	"jwt.claims":   {otherwise: "any", example: "{ role: buyer }"},
	"jwt.forward":  {otherwise: "none", example: "[email, roles]"},

	"topics.ingress":   {without: "false", example: "true"},
	"topics.retention": {without: "7d", example: "30d"},
	"topics.unsettled": {without: "keep", example: "deadletter"},
}
