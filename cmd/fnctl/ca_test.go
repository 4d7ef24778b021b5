package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestServerWithTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(&fake{t: t, answers: map[string]any{"GET /ns/default/keys": []api.Key{}}})
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that does not believe it
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca, empty := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ls := func(ca string) result {
		return execute(t.Context(), t, "", map[string]string{"FNCTL_SERVER": server.URL, "FNCTL_CA": ca}, "key", "ls")
	}
	ls(ca).want(t, 0, "", "no API keys in namespace default\n")
	r := ls("")
	if r.code != exitUnreachable || !strings.Contains(r.stderr, "certificate signed by unknown authority") || !strings.HasSuffix(r.stderr, "Try: FNCTL_CA=FILE with the certificate of the server, or of who signed it\n") {
		t.Errorf("without: %d %s", r.code, r.stderr)
	}
	plain := strings.Replace(server.URL, "https:", "http:", 1)
	execute(t.Context(), t, "", nil, "key", "ls", "--server", plain).want(t, exitFailed, "", "error: "+wantsTLS+"\nTry: https:// in the address of the server\n")
	ls(empty).want(t, 2, "", "error: FNCTL_CA: "+empty+" has no certificate\nTry: a file in PEM, which begins with -----BEGIN CERTIFICATE-----\n")
	ls(dir+"/none").want(t, 2, "", "error: read FNCTL_CA: open "+dir+"/none: no such file or directory\nTry: correct FNCTL_CA, or unset it\n")
}

func TestServerWithoutTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&fake{t: t})
	t.Cleanup(server.Close)
	secure := strings.Replace(server.URL, "http:", "https:", 1)
	execute(t.Context(), t, "", nil, "key", "ls", "--server", secure).want(t, exitUnreachable, "",
		"error: reach the server at "+secure+": http: server gave HTTP response to HTTPS client\nTry: http:// in the address of the server, which does not speak TLS\n")
}
