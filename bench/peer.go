package main

import (
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/labstack/echo/v4"
)

// peerArg starts this program as the yardstick: a process of its own, as the runtime is one.
const peerArg = "serve-bare-echo"

// servePeer serves until it is killed. It prints its address first.
func servePeer(stdout, stderr io.Writer) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	fmt.Fprintln(stdout, l.Addr())
	if err := http.Serve(l, bareEcho()); err != nil { //nolint:gosec // loopback only, and short-lived
		fmt.Fprintln(stderr, "bench:", err)
	}
	return 1
}

// bareEcho is the least that a Go program with the same HTTP framework does to echo a body.
func bareEcho() http.Handler {
	e := echo.New()
	e.POST("/echo", func(c echo.Context) error {
		body, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		return c.Blob(http.StatusOK, echo.MIMEOctetStream, body)
	})
	return e
}
