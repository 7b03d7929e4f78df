package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// What issues temporary keys: the metadata service of servers, the agent for pod identities, and the identity service.
// In the real cloud these are three places; here they answer at the same origin.

// The operations that want no signature, or look at it themselves.
const (
	opMetadataToken = "GetMetadataToken"
	opSecurityKey   = "GetSecurityKey"
	opPodIdentity   = "AssumeAgencyForPodIdentity"
	opIDToken       = "CreateTokenWithIdToken"
	opTemporaryKey  = "CreateTemporaryAccessKey"
)

var unsigned = map[string]bool{opMetadataToken: true, opSecurityKey: true, opPodIdentity: true, opIDToken: true, opTemporaryKey: true}

// serverKeys is how long the keys of a server's agency last.
const serverKeys = 24 * time.Hour

// keysLayout is how the identity service writes when keys end.
const keysLayout = "2006-01-02T15:04:05.000000Z"

func issuingRoutes(add adder) {
	add(http.MethodPut, "/meta-data/latest/api/token", opMetadataToken, metadataToken)
	add(http.MethodGet, "/openstack/latest/securitykey", opSecurityKey, securityKey)
	add(http.MethodPost, "/v1/credentials", opPodIdentity, podIdentity)
	add(http.MethodPost, "/v3.0/OS-AUTH/id-token/tokens", opIDToken, tokenForIDToken)
	add(http.MethodPost, "/v3.0/OS-CREDENTIAL/securitytokens", opTemporaryKey, temporaryKey)
}

func metadataToken(c *call) response {
	return response{status: http.StatusOK, body: []byte(c.secret), header: c.dated()}
}

func securityKey(c *call) response {
	if c.r.Header.Get("X-Metadata-Token") != c.secret {
		return response{status: http.StatusUnauthorized, body: []byte("the token is missing or wrong")}
	}
	return c.issue(c.State.Snapshot().Identity.Server, serverKeys, "credential", http.StatusOK,
		response{status: http.StatusUnauthorized, body: []byte("Please configure Cloud Service Agency first")})
}

func podIdentity(c *call) response {
	return c.issue(c.State.Snapshot().Identity.Pods[c.r.Header.Get("Authorization")], time.Hour, "credentials", http.StatusOK,
		response{status: http.StatusForbidden, body: []byte(`{"error":"no agency is bound to the service account"}`)})
}

// subjects are the tokens of the identity service: the access key stands in them, behind what nobody guesses.
func (s *Server) subjectOf(accessKey string) string {
	return s.secret + "." + url.PathEscape(accessKey)
}

func tokenForIDToken(c *call) response {
	request := decodeFields(c.body)
	accessKey := c.State.Snapshot().Identity.Providers[c.r.Header.Get("X-Idp-Id")]
	if token := request.object("auth").within("id_token").word("id"); accessKey == "" || strings.TrimSpace(token) == "" {
		return *identityError(http.StatusUnauthorized, "1100", "The identity provider or the token is not accepted")
	}
	header := c.dated()
	header.Set("X-Subject-Token", c.subjectOf(accessKey))
	return response{status: http.StatusCreated, header: header, body: map[string]any{"token": map[string]any{
		"expires_at": c.Clock().UTC().Add(serverKeys).Format(keysLayout), "methods": []string{"mapped"},
	}}}
}

// temporaryKey issues keys for a token, or for an agency that the signature's account may assume.
func temporaryKey(c *call) response {
	identity := decodeFields(c.body).object("auth").within("identity")
	world := c.State.Snapshot()
	if token := identity.within("token"); token != nil {
		accessKey, ok := strings.CutPrefix(token.word("id"), c.secret+".")
		if accessKey, err := url.PathUnescape(accessKey); ok && err == nil {
			return c.issue(accessKey, token.seconds("duration_seconds"), "credential", http.StatusCreated, *identityError(http.StatusUnauthorized, "1101", "The token is invalid"))
		}
		return *identityError(http.StatusUnauthorized, "1101", "The token must be updated")
	}
	if refusal := c.authenticate(); refusal != nil {
		return *refusal
	}
	role := identity.within("assume_role")
	lifetime := role.seconds("duration_seconds")
	if lifetime < 15*time.Minute || lifetime > 24*time.Hour {
		return *identityError(http.StatusBadRequest, "1110", "duration_seconds must be between 900 and 86400")
	}
	agency := role.word("domain_name") + "/" + role.word("agency_name")
	return c.issue(world.Identity.Agencies[agency], lifetime, "credential", http.StatusCreated,
		*identityError(http.StatusForbidden, "1109", "You are not allowed to assume the agency"))
}

// issue answers with new keys for the account of an access key, or with refused where there is none.
func (c *call) issue(accessKey string, lifetime time.Duration, name string, status int, refused response) response {
	issued, ok := c.State.IssueKeys(accessKey, lifetime)
	if !ok {
		refused.header = c.dated()
		return refused
	}
	return response{status: status, header: c.dated(), body: map[string]any{name: keysOf(issued)}}
}

func keysOf(a state.Account) map[string]string {
	return map[string]string{
		"access": a.AccessKey, "secret": string(a.SecretKey), "securitytoken": string(a.SecurityToken),
		"expires_at": a.TokenExpires.UTC().Format(keysLayout),
	}
}

// dated has the cloud's own time, by which keys end.
func (c *call) dated() http.Header {
	return http.Header{"Date": {c.Clock().UTC().Format(http.TimeFormat)}}
}

func identityError(status int, code, message string) *response {
	return &response{status: status, code: code, body: map[string]any{"error_code": "IAM." + code, "error_msg": message}}
}

// within, word and seconds read what may be missing at any depth.
func (b *body) within(field string) *body {
	if b == nil {
		return nil
	}
	return b.object(field)
}

func (b *body) word(field string) string {
	if b == nil {
		return ""
	}
	if s := b.text(field); s != nil {
		return *s
	}
	return ""
}

func (b *body) seconds(field string) time.Duration {
	if b == nil {
		return 0
	}
	if n := b.number(field); n != nil {
		return time.Duration(*n) * time.Second
	}
	return 0
}

// controlIdentity says anew who issues keys for whom.
func (s *Server) controlIdentity(w http.ResponseWriter, r *http.Request) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	dec.DisallowUnknownFields()
	var wanted struct {
		state.Identity
		Lifetime fault.Duration `json:"lifetime"`
	}
	if err := dec.Decode(&wanted); err != nil {
		controlProblem(w, http.StatusBadRequest, "the body does not say who issues keys: "+err.Error())
		return
	}
	wanted.Identity.Lifetime = time.Duration(wanted.Lifetime)
	s.State.Edit(func(world *state.World) { world.Identity = wanted.Identity })
	w.WriteHeader(http.StatusNoContent)
}
