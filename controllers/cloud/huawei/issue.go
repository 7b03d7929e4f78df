package huawei

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// The SDK's own ways to temporary keys are not used: they know no context, read answers without a bound, and change the
// keys under whoever signs with them.

const (
	// issueCall bounds one request for keys.
	issueCall = 3 * time.Second
	// maxIssued bounds the answer to it.
	maxIssued = 64 << 10
	// maxToken bounds the file with a token of a service account.
	maxToken = 64 << 10
)

// issued is an answer with keys: each service names the fields in its own way.
type issued struct {
	Credential  *issuedKeys `json:"credential"`
	Credentials *issuedKeys `json:"credentials"`
}

type issuedKeys struct {
	Access    string `json:"access"`
	AccessID  string `json:"accessKeyId"`
	Secret    string `json:"secret"`
	SecretKey string `json:"secretAccessKey"`
	Token     string `json:"securitytoken"`
	Expires   string `json:"expires_at"`
	Ends      string `json:"expiration"`
}

// readIssued reads an answer that arrived at now. date is that of its sender's clock: when the keys end is told by that
// clock, which may differ from ours, so what counts is how long they last. Nothing of the answer is in the error.
func readIssued(body []byte, date string, now time.Time) (cloud.Keys, error) {
	var answer issued
	if err := json.Unmarshal(body, &answer); err != nil {
		return cloud.Keys{}, errors.New("the answer is no JSON with keys")
	}
	found := answer.Credential
	if found == nil {
		found = answer.Credentials
	}
	if found == nil {
		return cloud.Keys{}, errors.New("the answer holds no keys")
	}
	k := cloud.Keys{AccessKey: found.Access + found.AccessID, SecretKey: found.Secret + found.SecretKey, SecurityToken: found.Token}
	if k.SecurityToken == "" {
		return cloud.Keys{}, errors.New("the answer holds no security token")
	}
	if err := checkKeys(cloud.Credentials{AccessKey: k.AccessKey, SecretKey: k.SecretKey, SecurityToken: k.SecurityToken}); err != nil {
		return cloud.Keys{}, fmt.Errorf("the answer's keys can't be used: %w", err)
	}
	ends, err := time.Parse(time.RFC3339Nano, found.Expires+found.Ends)
	if err != nil {
		return cloud.Keys{}, errors.New("the answer doesn't say when the keys end")
	}
	k.Expires = ends
	if sent, err := http.ParseTime(date); err == nil {
		k.Expires = now.Add(ends.Sub(sent) - time.Second) // the header leaves parts of a second out
	}
	return k, nil
}

// asking is a request for keys to a server that wants no signature.
type asking struct {
	transport    http.RoundTripper
	method, url  string
	header       http.Header
	body         []byte
	whom, remedy string // for errors
}

// answered is what came of it.
type answered struct {
	status int
	header http.Header
	body   []byte
}

// ask makes one request. It follows no redirect, and no more of the answer is read than keys can take.
func (a asking) ask(ctx context.Context) (answered, error) {
	ctx, cancel := context.WithTimeout(ctx, issueCall)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, a.method, a.url, bytes.NewReader(a.body))
	if err != nil {
		return answered{}, a.failed(0, "its address is no URL")
	}
	if a.header != nil {
		req.Header = a.header
	}
	resp, err := a.transport.RoundTrip(req)
	if err != nil {
		return answered{}, a.failed(0, reasonOf(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxIssued+1))
	switch {
	case err != nil:
		return answered{}, a.failed(resp.StatusCode, reasonOf(ctx, err))
	case len(body) > maxIssued:
		return answered{}, a.failed(resp.StatusCode, "its answer is too long for keys")
	}
	return answered{resp.StatusCode, resp.Header, body}, nil
}

// keys reads an answer that must hold keys.
func (a asking) keys(got answered) (cloud.Keys, error) {
	if got.status < 200 || got.status > 299 {
		return cloud.Keys{}, a.failed(got.status, fmt.Sprintf("it answers %d", got.status))
	}
	k, err := readIssued(got.body, got.header.Get("Date"), time.Now())
	if err != nil {
		return cloud.Keys{}, a.failed(got.status, err.Error())
	}
	return k, nil
}

// failed holds nothing of what the server said: who answers there need not be who should.
func (a asking) failed(status int, why string) error {
	message := a.whom + ": " + why
	if a.remedy != "" {
		message += " (" + a.remedy + ")"
	}
	return &cloud.Error{Class: cloud.ClassAuthentication, Op: "IssueKeys", HTTPStatus: status, Message: message}
}

// reasonOf is why there is no answer, alike at each attempt.
func reasonOf(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return "it does not answer in time"
	}
	return "it can't be reached"
}

// readToken reads the token of a service account, which the kubelet renews in its file.
func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("the token of the service account can't be read: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	token := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", fmt.Errorf("the token of the service account can't be read: %w", err)
	case len(content) > maxToken || !isToken(token):
		return "", fmt.Errorf("%s holds no token of a service account", path)
	}
	return token, nil
}

// isToken reports whether a text can be a token: it goes into a header as it is.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// directTransport asks what is on the same server or node, where no proxy is.
func directTransport() http.RoundTripper { return newTransport(nil, nil) }
