package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"vpcmirror.io/operator/test/cloudsim/sign"
)

const callHelp = `Usage: cloudsim call METHOD PATH [BODY]

Signs a request, sends it and prints the status and the JSON of the answer. BODY is JSON, @FILE or - for standard input.
{project_id} in PATH stands for CLOUD_PROJECT. The exit code is 1 when the answer is an error.

Variables:
  CLOUD_ENDPOINT   where the cloud is, such as http://127.0.0.1:8600
  CLOUD_AK         access key
  CLOUD_SK         secret key
  CLOUD_PROJECT    project ID, 32 hex digits
  CLOUD_TOKEN      security token, for temporary keys only
`

// callTimeout bounds one request.
const callTimeout = 30 * time.Second

func call(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-help" || args[0] == "-h") {
		fmt.Fprint(stdout, callHelp)
		return nil
	}
	if len(args) < 2 || len(args) > 3 {
		fmt.Fprint(stderr, callHelp)
		return errUsage
	}
	body, err := callBody(args[2:], stdin)
	if err != nil {
		return err
	}
	request, err := signedRequest(ctx, strings.ToUpper(args[0]), args[1], body, getenv)
	if err != nil {
		return err
	}
	client := &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("send the request: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	fmt.Fprintf(stdout, "%s %s\n", answer.Proto, answer.Status)
	printBody(stdout, data)
	if answer.StatusCode >= http.StatusBadRequest {
		return errRefused
	}
	return nil
}

func callBody(args []string, stdin io.Reader) ([]byte, error) {
	if len(args) == 0 {
		return nil, nil
	}
	switch {
	case args[0] == "-":
		return io.ReadAll(stdin)
	case strings.HasPrefix(args[0], "@"):
		return os.ReadFile(args[0][1:])
	}
	return []byte(args[0]), nil
}

func signedRequest(ctx context.Context, method, path string, body []byte, getenv func(string) string) (*http.Request, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("the path %q does not begin with a slash; write one such as /v3/{project_id}/ports", path)
	}
	required := []string{"CLOUD_ENDPOINT", "CLOUD_AK", "CLOUD_SK"}
	if strings.Contains(path, "{project_id}") {
		required = append(required, "CLOUD_PROJECT")
	}
	for _, name := range required {
		if getenv(name) == "" {
			return nil, fmt.Errorf("the variable %s is not set; cloudsim call --help says what it means", name)
		}
	}
	project := getenv("CLOUD_PROJECT")
	url := strings.TrimSuffix(getenv("CLOUD_ENDPOINT"), "/") + strings.ReplaceAll(path, "{project_id}", project)
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	credentials := sign.Credentials{AccessKey: getenv("CLOUD_AK"), SecretKey: getenv("CLOUD_SK"), Token: getenv("CLOUD_TOKEN"), ProjectID: project}
	if err := sign.Sign(request, credentials, body, time.Now()); err != nil {
		return nil, err
	}
	return request, nil
}

// printBody indents JSON and prints anything else as it came.
func printBody(out io.Writer, data []byte) {
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, data, "", "  "); err == nil {
		data = pretty.Bytes()
	}
	data = bytes.TrimRight(data, "\n")
	if len(data) > 0 {
		fmt.Fprintf(out, "%s\n", data)
	}
}
