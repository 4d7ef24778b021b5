package api

import (
	"context"
	"io"
)

// Backup opens a backup of everything that the server keeps, as it is now: all that was acknowledged before is in it. The caller closes it. A backup that breaks
// off is an error of Read, or an archive without its end.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	res, err := c.do(ctx, request{path: []string{"backup"}})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}
