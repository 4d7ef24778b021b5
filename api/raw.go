package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Raw calls any path of the management API below /api/v1, which may have a query: for what the other methods have no words. The body is sent as contentType. The caller closes the body of the
// answer, which has a 2xx status.
func (c *Client) Raw(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	at, err := url.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("path %q: %w", path, err)
	}
	r := request{method: method, query: at.Query(), contentType: contentType, body: body}
	for part := range strings.SplitSeq(strings.Trim(at.EscapedPath(), "/"), "/") {
		if part, err = url.PathUnescape(part); err != nil {
			return nil, fmt.Errorf("path %q: %w", path, err)
		}
		r.path = append(r.path, part)
	}
	return c.do(ctx, r)
}
