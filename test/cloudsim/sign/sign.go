// Package sign verifies and makes SDK-HMAC-SHA256 request signatures, the scheme of the public cloud's API gateway. It is
// written from the scheme's description and shares nothing with any client.
//
// It may import nothing of ours.
package sign

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Names that the scheme uses.
const (
	Algorithm      = "SDK-HMAC-SHA256"
	HeaderDate     = "X-Sdk-Date"
	HeaderToken    = "X-Security-Token"
	HeaderProject  = "X-Project-Id"
	headerBodyHash = "X-Sdk-Content-Sha256"
	dateLayout     = "20060102T150405Z"
)

// DefaultSkew is how far X-Sdk-Date may be from the gateway's clock, in both directions.
const DefaultSkew = 15 * time.Minute

// Key is what the gateway knows of an access key.
type Key struct {
	Secret string
	// Token is set for temporary keys; the request must then carry it.
	Token string
	// TokenExpires ends a temporary key; zero means never.
	TokenExpires time.Time
}

// Error is a refused signature. Its message is what the gateway shows, and holds no secret.
type Error struct{ Message string }

// Error returns the gateway's message.
func (e *Error) Error() string { return "Incorrect IAM authentication information: " + e.Message }

func refused(format string, args ...any) *Error { return &Error{Message: fmt.Sprintf(format, args...)} }

// ErrNoAuthorization means that the request carries no signature at all.
var ErrNoAuthorization = &Error{Message: "x-auth-token or Authorization header not found"}

// Verify checks the signature of a request whose body was read already, and returns its access key; the key is returned
// beside an error too, as soon as it is known. lookup tells what is known of an access key; skew bounds the clocks'
// difference. Every error is an *Error.
func Verify(r *http.Request, body []byte, lookup func(accessKey string) (Key, bool), now time.Time, skew time.Duration) (string, error) {
	auth, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return "", err
	}
	key, ok := lookup(auth.accessKey)
	if !ok {
		return auth.accessKey, refused("verify aksk signature fail, ak %s not exist", auth.accessKey)
	}
	if !slices.Contains(auth.signed, strings.ToLower(HeaderDate)) {
		return auth.accessKey, refused("x-sdk-date is not among SignedHeaders")
	}
	date, err := time.Parse(dateLayout, r.Header.Get(HeaderDate))
	if err != nil {
		return auth.accessKey, refused("x-sdk-date %q is not of the form YYYYMMDDTHHMMSSZ", r.Header.Get(HeaderDate))
	}
	if diff := now.Sub(date); diff > skew || diff < -skew {
		return auth.accessKey, refused("the request time %s and the server time %s differ by more than %s", date.Format(dateLayout), now.UTC().Format(dateLayout), skew)
	}
	canonical := Canonical(r, auth.signed, body)
	want := signature(key.Secret, r.Header.Get(HeaderDate), canonical)
	if !hmac.Equal([]byte(want), []byte(auth.signature)) {
		return auth.accessKey, refused("verify aksk signature fail, canonicalRequest:%s", strings.ReplaceAll(canonical, "\n", "|"))
	}
	return auth.accessKey, checkToken(r, key, auth.signed, now)
}

func checkToken(r *http.Request, key Key, signed []string, now time.Time) error {
	token := r.Header.Get(HeaderToken)
	switch {
	case key.Token == "" && token != "":
		return refused("security token does not belong to the ak")
	case key.Token == "":
		return nil
	case token == "":
		return refused("security token is required for a temporary ak")
	case !slices.Contains(signed, strings.ToLower(HeaderToken)):
		return refused("x-security-token is not among SignedHeaders")
	case !hmac.Equal([]byte(token), []byte(key.Token)):
		return refused("security token is invalid")
	case !key.TokenExpires.IsZero() && !now.Before(key.TokenExpires):
		return refused("security token has expired")
	}
	return nil
}

type authorization struct {
	accessKey string
	signed    []string
	signature string
}

func parseAuthorization(header string) (authorization, error) {
	var a authorization
	if header == "" {
		return a, ErrNoAuthorization
	}
	scheme, rest, _ := strings.Cut(header, " ")
	if scheme != Algorithm {
		return a, refused("the algorithm %q is not supported, use %s", scheme, Algorithm)
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Access":
			a.accessKey = value
		case "SignedHeaders":
			a.signed = strings.Split(strings.ToLower(value), ";")
		case "Signature":
			a.signature = strings.ToLower(value)
		}
	}
	if a.accessKey == "" || len(a.signed) == 0 || a.signature == "" {
		return a, refused("the Authorization header needs Access, SignedHeaders and Signature")
	}
	return a, nil
}

// Canonical returns the canonical request: method, path, query, headers, list of headers and hash of the body, joined by
// line feeds. signed holds lower-case names.
func Canonical(r *http.Request, signed []string, body []byte) string {
	var headers strings.Builder
	for _, name := range signed {
		fmt.Fprintf(&headers, "%s:%s\n", name, headerValue(r, name))
	}
	hash := r.Header.Get(headerBodyHash)
	if hash == "" {
		sum := sha256.Sum256(body)
		hash = hex.EncodeToString(sum[:])
	}
	return strings.Join([]string{
		r.Method, canonicalPath(r.URL), canonicalQuery(r.URL), headers.String(), strings.Join(signed, ";"), hash,
	}, "\n")
}

func headerValue(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	return strings.TrimSpace(strings.Join(r.Header.Values(name), ","))
}

// canonicalPath encodes each segment anew, and always ends in a slash.
func canonicalPath(u *url.URL) string {
	var out strings.Builder
	for segment := range strings.SplitSeq(strings.Trim(u.EscapedPath(), "/"), "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			plain = segment
		}
		out.WriteByte('/')
		out.WriteString(encode(plain))
	}
	if out.Len() > 1 {
		out.WriteByte('/')
	}
	return out.String()
}

func canonicalQuery(u *url.URL) string {
	values := u.Query()
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		for _, v := range slices.Sorted(slices.Values(values[key])) {
			pairs = append(pairs, encode(key)+"="+encode(v))
		}
	}
	return strings.Join(pairs, "&")
}

// encode leaves the unreserved characters of RFC 3986 and writes all other bytes as %XX.
func encode(text string) string {
	var out strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

func signature(secret, date, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s\n%s\n%s", Algorithm, date, hex.EncodeToString(sum[:]))
	return hex.EncodeToString(mac.Sum(nil))
}

// Credentials sign requests.
type Credentials struct {
	AccessKey, SecretKey string
	Token                string // temporary keys only
	ProjectID            string // sent as X-Project-Id when set
}

// Sign adds the headers of the scheme to a request. The body is that of the request.
func Sign(r *http.Request, c Credentials, body []byte, now time.Time) error {
	if c.AccessKey == "" || c.SecretKey == "" {
		return errors.New("sign a request: the access key or the secret key is empty")
	}
	r.Header.Set(HeaderDate, now.UTC().Format(dateLayout))
	signed := []string{strings.ToLower(HeaderDate)}
	if c.ProjectID != "" {
		r.Header.Set(HeaderProject, c.ProjectID)
		signed = append(signed, strings.ToLower(HeaderProject))
	}
	if c.Token != "" {
		r.Header.Set(HeaderToken, c.Token)
		signed = append(signed, strings.ToLower(HeaderToken))
	}
	slices.Sort(signed)
	sig := signature(c.SecretKey, r.Header.Get(HeaderDate), Canonical(r, signed, body))
	r.Header.Set("Authorization", fmt.Sprintf("%s Access=%s, SignedHeaders=%s, Signature=%s", Algorithm, c.AccessKey, strings.Join(signed, ";"), sig))
	return nil
}
