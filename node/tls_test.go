package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair is a certificate for 127.0.0.1 and its key, in PEM.
type pair struct{ cert, key []byte }

func newPair(t *testing.T, serial int64, end time.Time) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "evoke"}, NotBefore: time.Unix(0, 0), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

func (p pair) write(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, text := range map[string][]byte{cert: p.cert, key: p.key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

var farEnd = time.Now().Add(24 * time.Hour)

// certificateOf is a certificate with a clock of its own.
func certificateOf(t *testing.T, dir string) (c *certificate, logged *bytes.Buffer, later func()) {
	t.Helper()
	logged = &bytes.Buffer{}
	c, err := loadCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := c.looked
	c.now = func() time.Time { return now }
	return c, logged, func() { now = now.Add(lookPause) }
}

func serial(t *testing.T, c *certificate) int64 {
	t.Helper()
	got, err := c.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return got.Leaf.SerialNumber.Int64()
}

func TestCertificateThatIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newPair(t, 1, farEnd).write(t, dir)
	c, logged, later := certificateOf(t, dir)
	second := newPair(t, 2, farEnd)
	second.write(t, dir)
	if got := serial(t, c); got != 1 {
		t.Errorf("looked at at once: %d", got)
	}
	later()
	if got := serial(t, c); got != 2 || !strings.Contains(logged.String(), "the certificate was replaced") {
		t.Errorf("after a while: %d, logged %s", got, logged)
	}
	logged.Reset()
	third := newPair(t, 3, farEnd)
	if err := os.WriteFile(c.cert, append(third.cert, '\n'), 0o600); err != nil { // somebody is in the middle of it
		t.Fatal(err)
	}
	for range 3 {
		later()
		if got := serial(t, c); got != 2 {
			t.Errorf("half replaced: %d", got)
		}
	}
	if strings.Count(logged.String(), "the new certificate cannot be used, the old one stays") != 1 || !strings.Contains(logged.String(), "private key does not match public key") {
		t.Errorf("logged %s", logged)
	}
	if err := os.WriteFile(c.key, append(third.key, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	if got := serial(t, c); got != 3 {
		t.Errorf("replaced: %d", got)
	}
	if err := os.Remove(c.cert); err != nil {
		t.Fatal(err)
	}
	later()
	if got := serial(t, c); got != 3 || !strings.Contains(logged.String(), "no such file") {
		t.Errorf("gone: %d, logged %s", got, logged)
	}
	newPair(t, 4, time.Now().Add(-time.Hour)).write(t, dir)
	later()
	if got := serial(t, c); got != 4 || !strings.Contains(logged.String(), "the certificate has expired: clients refuse it") {
		t.Errorf("expired: %d, logged %s", got, logged)
	}
}

func TestCertificatesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := newPair(t, 1, farEnd).write(t, dir)
	other := filepath.Join(dir, "other.pem")
	if err := os.WriteFile(other, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ cert, key, want string }{
		{filepath.Join(dir, "none"), key, "none: no such file"},
		{cert, filepath.Join(dir, "none"), "none: no such file"},
		{other, key, "certificate " + other + " with key " + key + ": tls: failed to find any PEM data in certificate input"},
		{cert, other, "failed to find any PEM data in key input"},
		{key, cert, "certificate " + key + " with key " + cert},
	} {
		if _, err := loadCertificate(tc.cert, tc.key, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	config := freeConfig(t.TempDir())
	config.TLSCert, config.TLSKey = other, key
	if _, err := New(t.Context(), config, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "TLS of the gateway: certificate "+other) {
		t.Errorf("a node: %v", err)
	}
	config.TLSCert, config.TLSKey, config.AdminTLSCert, config.AdminTLSKey = "", "", cert, other
	if _, err := New(t.Context(), config, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "TLS of the management API: certificate "+cert) {
		t.Errorf("a node: %v", err)
	}
}

// trusting is a client that believes a certificate.
func trusting(t *testing.T, cert string, h2 bool) *http.Client {
	t.Helper()
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: h2, DisableKeepAlives: true}}
}

func TestTLSOnBothAddresses(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1, farEnd)
	config := freeConfig(t.TempDir())
	config.TLSCert, config.TLSKey = p.write(t, t.TempDir())
	config.AdminTLSCert, config.AdminTLSKey = config.TLSCert, config.TLSKey
	n := serve(t, config)
	for _, h2 := range []bool{false, true} {
		client := trusting(t, config.TLSCert, h2)
		res, err := client.Post("https://"+n.Gateway()+"/topics/none", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatalf("gateway, HTTP/2 %v: %v", h2, err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != 404 || !strings.Contains(string(text), "unknown-topic") || (res.ProtoMajor == 2) != h2 {
			t.Errorf("gateway: %s %d %s", res.Proto, res.StatusCode, text)
		}
		client.CloseIdleConnections()
	}
	res, err := oneShot().Get("http://" + n.Gateway() + "/topics/none")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != 400 || !strings.Contains(string(text), "Client sent an HTTP request to an HTTPS server") {
		t.Errorf("without TLS: %d %s", res.StatusCode, text)
	}
}
