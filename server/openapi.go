package server

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

// openAPI describes both sides in OpenAPI 3.0. `make generate` writes it from the wire types and the table of operations_test.go; tests hold every route and every answer of theirs against it.
//
//go:embed openapi.json
var openAPI []byte

func (s *Server) openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, openAPI)
}
