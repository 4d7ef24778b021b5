package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
)

// web does the requests to the server. FNCTL_CA, or the context, names a file with certificates that are believed beside those of the system: the server's own, or of who signed it.
func (c *cli) web() (*http.Client, error) {
	path := c.ca
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("correct "+c.caFrom+", or unset it", "read %s: %v", c.caFrom, err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, usagef("a file in PEM, which begins with -----BEGIN CERTIFICATE-----", "%s: %s has no certificate", c.caFrom, path)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	return &http.Client{Transport: transport}, nil
}
