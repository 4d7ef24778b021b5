package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// certificate is a certificate and its key in files. Who renews them replaces the files; what is new is served from the next connection on.
type certificate struct {
	cert, key string // paths
	log       *slog.Logger
	now       func() time.Time

	mu     sync.Mutex
	served *tls.Certificate
	files  [2]stamp  // of what was read last, good or not
	looked time.Time // when the files were looked at last
}

// stamp tells one content of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// lookPause is between two looks at the files.
const lookPause = time.Second

// loadCertificate reads a certificate for the first time, when a fault is the operator's to see.
func loadCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log, now: time.Now, looked: time.Now()}
	var err error
	if c.files, err = c.stamps(); err != nil {
		return nil, err
	}
	if c.served, err = c.read(); err != nil {
		return nil, err
	}
	c.tellEnd()
	return c, nil
}

func (c *certificate) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, pathError // it names the file
	}
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.cert, c.key, err)
	}
	return &pair, nil
}

func (c *certificate) stamps() (out [2]stamp, err error) {
	for i, path := range []string{c.cert, c.key} {
		info, err := os.Stat(path)
		if err != nil {
			return out, err
		}
		out[i] = stamp{info.ModTime(), info.Size()}
	}
	return out, nil
}

// tellEnd warns of a certificate that clients refuse.
func (c *certificate) tellEnd() {
	if end := c.served.Leaf.NotAfter; !c.now().Before(end) {
		c.log.Warn("the certificate has expired: clients refuse it", "file", c.cert, "end", end)
	}
}

// get is what tls.Config asks for each connection. The files are looked at under the lock: a look takes microseconds, and whoever waits wants the same.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= lookPause {
		c.looked = now
		c.renew()
	}
	return c.served, nil
}

// renew takes what the files have when it is another and good, and keeps the old one otherwise: somebody may be in the middle of replacing them.
func (c *certificate) renew() {
	files, err := c.stamps()
	if err == nil && files == c.files {
		return
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = c.read()
	}
	if err != nil {
		if files != c.files { // once for each content
			c.log.Warn("the new certificate cannot be used, the old one stays", "file", c.cert, "err", err)
		}
		c.files = files
		return
	}
	c.files, c.served = files, pair
	c.log.Info("the certificate was replaced", "file", c.cert, "end", pair.Leaf.NotAfter)
	c.tellEnd()
}

// withTLS has a listener speak TLS when there is a certificate for it.
func withTLS(l net.Listener, cert, key string, log *slog.Logger) (net.Listener, error) {
	if cert == "" {
		return l, nil
	}
	c, err := loadCertificate(cert, key, log)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
}
