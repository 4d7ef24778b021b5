package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// apiName is the command that takes any path, so that a wrong one says nothing of the server.
const apiName = "api"

func (c *cli) apiCommand() *cobra.Command {
	var method, data, contentType string
	cmd := &cobra.Command{
		Use:   apiName + " PATH",
		Short: "Call the management API itself",
		Long: `Call the management API itself and print the answer as it comes; JSON is indented.

PATH is what follows /api/v1 of the server, with its query. {ns} in it stands for the namespace. GET /openapi.json describes all there is.`,
		Example: `  fnctl api /openapi.json
  fnctl api /ns/{ns}/functions
  fnctl api /ns/{ns}/triggers/charge:orders/pause -X POST`,
		Args: argCount(1, 1, "a path such as /ns/{ns}/functions"),
	}
	cmd.Flags().StringVarP(&method, "method", "X", "", "HTTP method (default GET, or POST with -d)")
	cmd.Flags().StringVarP(&data, "data", "d", "", "body: the text itself, @FILE, or - for stdin")
	cmd.Flags().StringVar(&contentType, "content-type", "application/json", "what the body is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var body []byte
		if cmd.Flags().Changed("data") {
			var err error
			if body, err = c.readData(data); err != nil {
				return err
			}
			method = cmp.Or(method, http.MethodPost)
		}
		return c.callAPI(cmd.Context(), cmp.Or(method, http.MethodGet), args[0], contentType, body)
	}
	return cmd
}

func (c *cli) callAPI(ctx context.Context, method, path, contentType string, body []byte) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if _, err := url.Parse(path); err != nil || !strings.HasPrefix(path, "/") {
		return usagef("a path like /ns/{ns}/functions; \"fnctl api /openapi.json\" lists them all", "%q is no path of the management API", path)
	}
	if body == nil {
		contentType = ""
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	res, err := client.Raw(ctx, strings.ToUpper(method), strings.ReplaceAll(strings.TrimPrefix(path, "/api/v1"), "{ns}", url.PathEscape(c.namespace)), contentType, body)
	if err != nil {
		return err
	}
	defer res.Body.Close() // read to its end or of no more use
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind == "application/json" {
		return c.indented(res.Body)
	}
	if _, err := io.Copy(c.out, res.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

func (c *cli) indented(in io.Reader) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(text), "", "  ") != nil {
		out.Reset()
		out.Write(text) // as it came
	}
	out.WriteByte('\n')
	_, err = c.out.Write(out.Bytes())
	return err
}
