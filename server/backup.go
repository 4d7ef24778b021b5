package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// backup streams a backup. One that breaks off has no end, and the connection is cut: whoever reads it notices both.
func (s *Server) backup(c echo.Context) error {
	ctx, cancel := context.WithCancelCause(c.Request().Context())
	defer cancel(nil)
	unlink := context.AfterFunc(s.streams, func() { cancel(errDraining) })
	defer unlink()
	out := &backupWriter{ctx: ctx, w: c.Response(), rc: http.NewResponseController(c.Response())}
	c.Response().Header().Set("Content-Type", "application/octet-stream")
	c.Response().Header().Set("Cache-Control", "no-store")
	return s.o.Backup(ctx, out)
}

// backupWriter gives a client time for each write, not for the whole.
type backupWriter struct {
	ctx context.Context
	w   http.ResponseWriter
	rc  *http.ResponseController
}

func (b *backupWriter) Write(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	_ = b.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // a transport without deadlines needs none
	n, err := b.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("%w: %w", errClientGone, err)
	}
	return n, nil
}
