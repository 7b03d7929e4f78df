package huawei

import (
	"encoding/json"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// fault is what the body of a refusal says.
type fault struct {
	code      string
	message   string
	requestID string
}

const (
	maxFaultBytes   = 64 << 10
	maxFaultDepth   = 3
	maxMessageRunes = 500
)

// readFault reads the shapes that occur: error_code and error_msg (gateway and v3),
// code and message (older calls), the same inside an object such as error or
// NeutronError. Any other text is left out on purpose: an endpoint comes from a
// Secret, and the operator must not show what some other server answers.
func readFault(body []byte) fault {
	if len(body) > maxFaultBytes {
		return fault{}
	}
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return fault{}
	}
	f := faultIn(object, maxFaultDepth)
	f.code = cleanID(f.code)
	f.requestID = cleanID(text(object["request_id"]))
	return f
}

func faultIn(object map[string]any, depth int) fault {
	for _, names := range [][2]string{{"error_code", "error_msg"}, {"code", "message"}, {"type", "message"}} {
		message := text(object[names[1]])
		if message == "" {
			continue
		}
		if names[0] == "type" { // Neutron's type is a class of Python, not a code
			return fault{message: message}
		}
		return fault{code: text(object[names[0]]), message: message}
	}
	if depth == 0 {
		return fault{}
	}
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names) // maps have no order; the same body must give the same error
	for _, name := range names {
		if inner, ok := object[name].(map[string]any); ok {
			if f := faultIn(inner, depth-1); f != (fault{}) {
				return f
			}
		}
	}
	return fault{code: text(object["error_code"])}
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// cleanID gives back an identifier or a code that is safe to print, else "".
func cleanID(s string) string {
	if idPattern.MatchString(s) {
		return s
	}
	return ""
}

// contentType names the kind of an answer for a message.
func contentType(header http.Header) string {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return "unknown content"
	}
	return shorten(kind)
}

// instant matches a point of time as services write it, such as 2026-01-02T03:04:05Z.
var instant = regexp.MustCompile(`\d{4}-?\d{2}-?\d{2}[T ]\d{2}:?\d{2}(:?\d{2})?(\.\d+)?Z?`)

// lasting takes out of a cloud's sentence what differs at each attempt: the values given,
// which are those of this call, and points of time.
func lasting(message string, changing ...string) string {
	for _, value := range changing {
		if value != "" {
			message = strings.ReplaceAll(message, value, "...")
		}
	}
	return instant.ReplaceAllString(message, "...")
}

// secrets are the strings that must not appear in an error.
type secrets []string

// minSecret is the shortest text that is taken out: replacing single letters would
// leave no message at all, and no key is that short.
const minSecret = 4

// newSecrets takes the values in every form in which they can be shown: as they are, as one
// printable line, and without whatever is not seen.
func newSecrets(values ...string) secrets {
	var s secrets
	for _, v := range values {
		for _, form := range []string{v, printable(v), strings.ReplaceAll(printable(v), " ", "")} {
			if len(form) >= minSecret && !slices.Contains(s, form) {
				s = append(s, form)
			}
		}
	}
	// Longest first, so that a secret inside another one leaves no rest.
	slices.SortFunc(s, func(a, b string) int { return len(b) - len(a) })
	return s
}

// in reports whether a text holds a secret.
func (s secrets) in(message string) bool {
	return slices.ContainsFunc(s, func(secret string) bool { return strings.Contains(message, secret) })
}

// signed matches where a server starts to echo the request that it could not verify.
var signed = regexp.MustCompile(`(?i)[\s,;:.(]*(canonical[\s_-]*request|string[\s_-]*to[\s_-]*sign|authorization\s*[:=]|signature\s*=|x-security-token)`)

// printable makes a text one line without what is not seen.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.Join(strings.Fields(text), " ")
}

// scrub makes a message one printable line, takes secrets and the server's echo of the
// signed request out of it, and bounds it. Secrets are looked for before and after: a
// control character that is dropped can join the halves of a secret.
func (s secrets) scrub(message string) string {
	message = printable(s.hide(message))
	if at := signed.FindStringIndex(message); at != nil {
		message = message[:at[0]]
	}
	message = s.hide(message)
	if runes := []rune(message); len(runes) > maxMessageRunes {
		message = string(runes[:maxMessageRunes]) + " ..."
	}
	return message
}

func (s secrets) hide(message string) string {
	for _, secret := range s {
		message = strings.ReplaceAll(message, secret, "***")
	}
	return message
}
