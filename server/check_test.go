package server

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sys/unix"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/registry"
)

// The benchmarks measure authenticate, all of it: the rows check_… of "go run ./bench http" come from here.

// gatekeeper is as much of a server as authenticate needs.
func gatekeeper(b *testing.B) (*Server, *registry.Registry) {
	b.Helper()
	r, err := registry.New(registry.Options{Client: etcd.Client(), Prefix: b.TempDir() + "/", ModuleDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	return &Server{o: Options{Registry: r}, now: time.Now, log: slog.New(slog.DiscardHandler)}, r
}

// follow has the registry's snapshot follow etcd until the benchmark ends, and waits for a revision.
func follow(b *testing.B, r *registry.Registry, revision int64) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	there, done := make(chan struct{}, 100), make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx, func(s *registry.Snapshot) { // it ends with ctx
			if s.Revision >= revision {
				there <- struct{}{}
			}
		})
	}()
	b.Cleanup(func() { cancel(); <-done })
	<-there
}

// mustCheck is what is measured: a request with one header.
func mustCheck(b *testing.B, s *Server, e entrance, r *http.Request, name, value string) {
	r.Header[name] = []string{value}
	if who, err := s.authenticate(r, e); err != nil || who.Type == "" {
		b.Fatalf("%+v, %v", who, err)
	}
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // fails for no valid who
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// stopwatch takes the processor time of what is measured, which other programs of the machine do not change as they do the time that passes.
type stopwatch struct {
	b     *testing.B
	used  time.Duration
	began time.Duration
}

func (w *stopwatch) start() {
	w.b.StartTimer()
	w.began = cpu()
}

func (w *stopwatch) stop() {
	w.used += cpu() - w.began
	w.b.StopTimer()
	w.b.ReportMetric(float64(w.used)/float64(w.b.N), "cpu-ns/op")
}

func BenchmarkCheckKey(b *testing.B) {
	s, r := gatekeeper(b)
	const keys = 256
	var secrets [keys]string
	var last int64
	for i := range secrets {
		text, id := auth.NewSecret(auth.KeyPrefix)
		var err error
		last, err = r.CreateCredential(b.Context(), registry.Credential{ID: id, Hash: auth.Hash(text), Key: &api.Key{
			Namespace: "default", Name: fmt.Sprint("key-", i), Functions: []string{"f"}, Rate: &api.KeyRate{Limit: 100_000, Period: api.Duration(time.Millisecond)},
		}})
		if err != nil {
			b.Fatal(err)
		}
		secrets[i] = text
	}
	follow(b, r, last)
	e := entrance{namespace: "default", function: "f", auth: &api.Auth{Any: []api.AuthRule{{Key: &api.KeyAuth{}}}}}
	request := httptest.NewRequest("POST", "/fn/f", nil)
	b.ReportAllocs()
	b.ResetTimer()
	w := stopwatch{b: b}
	w.start()
	for i := range b.N {
		mustCheck(b, s, e, request, keyHeader, secrets[i%keys])
	}
	w.stop()
}

// BenchmarkCheckJWT is of tokens that come for the first time, whose signature is checked, and of one that comes again.
func BenchmarkCheckJWT(b *testing.B) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	point, err := ecKey.PublicKey.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	keys := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"ES256","x":%q,"y":%q},{"kty":"RSA","kid":"RS256","n":%q,"e":"AQAB"}]}`, text(point[1:33]), text(point[33:]), text(rsaKey.N.Bytes()))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, keys) }))
	b.Cleanup(server.Close)
	rule := &api.JWTAuth{Issuer: "https://id.example", Audience: "shop", JWKS: server.URL, Claims: map[string]string{"scope": "orders:write"}, Forward: []string{"email"}}
	e := entrance{namespace: "default", function: "f", auth: &api.Auth{Any: []api.AuthRule{{JWT: rule}}}}
	for _, kind := range []struct {
		method jwt.SigningMethod
		key    crypto.Signer
	}{{jwt.SigningMethodRS256, rsaKey}, {jwt.SigningMethodES256, ecKey}} {
		var headers [256]string
		for i := range headers {
			token := jwt.NewWithClaims(kind.method, jwt.MapClaims{
				"iss": rule.Issuer, "aud": []string{"shop", "other"}, "sub": fmt.Sprint("user-", i), "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
				"scope": "orders:read orders:write", "email": "ada@example.com", "roles": []string{"a", "b", "c"},
			})
			token.Header["kid"] = kind.method.Alg()
			signed, err := token.SignedString(kind.key)
			if err != nil {
				b.Fatal(err)
			}
			headers[i] = "Bearer " + signed
		}
		request := httptest.NewRequest("POST", "/fn/f", nil)
		fresh := func(b *testing.B) *Server { // has the issuer's keys and no tokens
			s, _ := gatekeeper(b)
			s.verifier = auth.NewVerifier(auth.VerifierOptions{})
			mustCheck(b, s, e, request, "Authorization", headers[0])
			return s
		}
		b.Run(kind.method.Alg(), func(b *testing.B) {
			b.ReportAllocs()
			b.StopTimer()
			w := stopwatch{b: b}
			for left := b.N; left > 0; left -= len(headers) - 1 {
				s := fresh(b)
				w.start()
				for _, header := range headers[1:min(len(headers), left+1)] {
					mustCheck(b, s, e, request, "Authorization", header)
				}
				w.stop()
				s.verifier.Close()
			}
		})
		b.Run(kind.method.Alg()+"-again", func(b *testing.B) {
			s := fresh(b)
			defer s.verifier.Close()
			b.ReportAllocs()
			b.ResetTimer()
			w := stopwatch{b: b}
			w.start()
			for range b.N {
				mustCheck(b, s, e, request, "Authorization", headers[0])
			}
			w.stop()
		})
	}
}
