package server

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// Headers of the handshake of CloudEvents webhooks, https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md.
const (
	requestOrigin = "Webhook-Request-Origin"
	requestRate   = "Webhook-Request-Rate"
	allowedOrigin = "WebHook-Allowed-Origin"
	allowedRate   = "WebHook-Allowed-Rate"
)

// handshake answers a sender that asks whether it may deliver here. The answer is given at once, so a callback is of no use.
func (h *hook) handshake(c echo.Context) error {
	out := c.Response().Header()
	out.Set("Allow", "OPTIONS, POST")
	origin, rate := c.Request().Header.Get(requestOrigin), c.Request().Header.Get(requestRate)
	if origin == "" {
		return c.NoContent(http.StatusNoContent)
	}
	if !h.agrees(origin) {
		return refuse(errSender, "", "deliveries from %q are not agreed to", origin)
	}
	if rate != "" {
		if n, err := strconv.Atoi(rate); err != nil || n < 1 {
			return refuse(errInvalid, "ask for a whole number of requests in a minute", "WebHook-Request-Rate %q is not a whole number from 1 on", rate)
		}
		out[allowedRate] = []string{"*"}
	}
	out[allowedOrigin] = []string{origin}
	return c.NoContent(http.StatusOK)
}

// agrees says whether deliveries of a sender are welcome.
func (h *hook) agrees(origin string) bool {
	if len(h.Origins) == 0 {
		return true
	}
	origin = strings.ToLower(origin)
	for _, allowed := range h.Origins {
		below, any := strings.CutPrefix(allowed, "*")
		if origin == allowed || any && strings.HasSuffix(origin, below) {
			return true
		}
	}
	return false
}

// answerSender answers deliveries that are not for the function: what a sender asks before it begins.
func (s *Server) answerSender(c echo.Context, d *delivery) (answered bool, err error) {
	switch {
	case d.Scheme == "github" && d.r.Header.Get("X-Github-Event") == "ping":
		return true, c.NoContent(http.StatusNoContent)
	case d.Scheme == "slack" && d.says().Type == "url_verification":
		return true, c.String(http.StatusOK, d.says().Challenge)
	case d.Scheme == "none" && d.r.Header.Get("Aeg-Event-Type") == "SubscriptionValidation":
		return true, s.validateEventGrid(c, d)
	}
	return false, nil
}

// validateEventGrid: https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema
func (s *Server) validateEventGrid(c echo.Context, d *delivery) error {
	var events []struct {
		Data struct {
			Code string `json:"validationCode"`
			URL  string `json:"validationUrl"`
		} `json:"data"`
	}
	if err := json.Unmarshal(d.body, &events); err != nil || len(events) != 1 || events[0].Data.Code == "" && events[0].Data.URL == "" {
		return refuse(errInvalid, "", "the body is not the one SubscriptionValidation event that its Aeg-Event-Type promises")
	}
	data := events[0].Data
	if data.Code == "" {
		s.log.Warn("Azure Event Grid asks for a subscription to be confirmed: open the URL within five minutes", slog.String("trigger", d.trigger.Name), slog.String("url", data.URL))
		return c.NoContent(http.StatusOK)
	}
	return c.JSON(http.StatusOK, map[string]string{"validationResponse": data.Code})
}
