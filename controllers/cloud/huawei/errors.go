package huawei

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// rule is one row of the error table. The first row that fits decides.
type rule struct {
	status int    // exactly this HTTP status; refused fits every 4xx, 0 every status
	code   string // how the cloud's code begins, without regard to case; "" fits every code
	words  string // what the cloud's sentence holds, in lower case; "" fits every sentence
	class  cloud.Class
}

const refused = 4 // the first digit of a status

// table gives the class of a refusal: by the HTTP status where that says it, then by the
// code, then by the words, because the traffic-mirror calls have no documented codes: a
// quota, a duplicate and a thing in use may come as 400, 403 or 409. The gateway's codes
// begin with APIGW on the public cloud and with APIG on gateways of one's own.
var table = []rule{
	{status: 401, class: cloud.ClassAuthentication},
	{status: 402, class: cloud.ClassPermission},
	{status: 404, code: "APIGW.0101", class: cloud.ClassUnsupported},
	{status: 404, code: "APIG.0101", class: cloud.ClassUnsupported},
	{status: 404, code: "VPC.", class: cloud.ClassNotFound},
	{status: 404, code: "ELB.", class: cloud.ClassNotFound},
	{status: 400, code: "ELB.1003", class: cloud.ClassNotFound}, // "The load balancer does not exist" (ELB API reference, error codes)
	{status: 404, class: cloud.ClassServer},
	{status: 405, class: cloud.ClassUnsupported},
	{status: 407, class: cloud.ClassServer},
	{status: 408, class: cloud.ClassServer},
	{status: 413, class: cloud.ClassInvalid},
	{status: 414, class: cloud.ClassInvalid},
	{status: 423, class: cloud.ClassConflict},
	{status: 429, class: cloud.ClassThrottled},
	{status: 431, class: cloud.ClassInvalid},
	{status: 494, class: cloud.ClassInvalid},

	{status: 400, code: "VPC.0007", class: cloud.ClassPermission}, // the project is not that of the keys
	{status: refused, code: "APIGW.0308", class: cloud.ClassThrottled},
	{status: refused, code: "APIG.0308", class: cloud.ClassThrottled},
	{status: refused, code: "VPC.9905", class: cloud.ClassQuota},
	{status: refused, code: "VPC.9907", class: cloud.ClassConflict},
	{status: 403, code: "VPC.0010", class: cloud.ClassPermission},
	{status: 403, code: "VPC.2", class: cloud.ClassPermission},
	{status: 403, code: "APIGW.", class: cloud.ClassPermission},
	{status: 403, code: "APIG.", class: cloud.ClassPermission},

	// Before the other words, because an action such as vpc:quotas:list is named here.
	{status: 403, words: "polic", class: cloud.ClassPermission},
	{status: 403, words: "authorized", class: cloud.ClassPermission},
	{status: 403, words: "permission", class: cloud.ClassPermission},
	{status: 403, words: "not allowed", class: cloud.ClassPermission},
	{status: 403, words: "denied", class: cloud.ClassPermission},
	{status: 403, words: "arrears", class: cloud.ClassPermission},
	{status: 403, words: "frozen", class: cloud.ClassPermission},
	{status: 403, words: "suspended", class: cloud.ClassPermission},
	{status: refused, words: "quota", class: cloud.ClassQuota},
	{status: refused, words: "maximum number", class: cloud.ClassQuota},
	{status: refused, words: "too many", class: cloud.ClassQuota},
	{status: refused, words: "not support", class: cloud.ClassUnsupported},
	{status: refused, words: "already", class: cloud.ClassConflict},
	{status: refused, words: " exists", class: cloud.ClassConflict},
	{status: refused, words: "duplicate", class: cloud.ClassConflict},
	{status: refused, words: "in use", class: cloud.ClassConflict},
	{status: refused, words: "being used", class: cloud.ClassConflict},
	{status: refused, words: "used by", class: cloud.ClassConflict},
	{status: refused, words: "referenced", class: cloud.ClassConflict},
	{status: refused, words: "conflict", class: cloud.ClassConflict},

	{status: 400, class: cloud.ClassInvalid},
	{status: 403, class: cloud.ClassPermission},
	{status: 409, class: cloud.ClassConflict},
	{status: 412, class: cloud.ClassConflict},
	{status: 415, class: cloud.ClassInvalid},
	{status: 422, class: cloud.ClassInvalid},
	{class: cloud.ClassServer},
}

func classify(status int, code, message string) cloud.Class {
	message = strings.ToLower(message)
	for _, r := range table {
		if r.fits(status, code, message) {
			return r.class
		}
	}
	return cloud.ClassServer
}

func (r rule) fits(status int, code, message string) bool {
	return (r.status == 0 || r.status == status || r.status == refused && status/100 == refused) &&
		hasPrefixFold(code, r.code) && strings.Contains(message, r.words)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// unreadableError is an answer with a good status that does not say what it must.
type unreadableError struct{ what string }

func (e *unreadableError) Error() string { return e.what }

func unreadable(format string, args ...any) error {
	return &unreadableError{what: fmt.Sprintf(format, args...)}
}

// empty is the error for an answer whose inner object is missing.
func empty(object string) error {
	return unreadable("the answer holds no %s", object)
}

// invalid is a request that is refused before it is sent.
func invalid(op, format string, args ...any) error {
	return &cloud.Error{Class: cloud.ClassInvalid, Op: op, Message: fmt.Sprintf(format, args...)}
}

// explain turns what came of a call into a *cloud.Error. cause is the SDK's error or
// one of ours; it is never passed on where it can hold the server's echo of the
// signed request.
func (c *caller) explain(op string, k kind, answer *call, cause error) error {
	e := c.explained(op, k, answer, cause)
	e.Message = c.secrets.hide(e.Message) // a key may have come into the endpoint
	return e
}

func (c *caller) explained(op string, k kind, answer *call, cause error) *cloud.Error {
	e := &cloud.Error{Op: op, HTTPStatus: answer.status}
	switch {
	case answer.status == 0:
		e.Class = cloud.ClassServer
		e.Cause = innermost(cause)
		e.Unsent = !answer.mayHaveLeft(e.Cause)
		e.Ambiguous = k == write && !e.Unsent
		e.Message = c.obstacle(e.Cause, !e.Unsent)
		e.Detail = c.secrets.scrub(e.Cause.Error())
		return e
	case answer.status >= 400:
		f := readFault(answer.body)
		e.Code, e.RequestID = f.code, f.requestID
		e.Class = classify(answer.status, f.code, f.message)
		if e.Class == cloud.ClassPermission && answer.status == http.StatusForbidden {
			e.Action = actionFor(op, f.message)
		}
		if c.shared {
			f.message = discreet(e.Class, f.message, answer.request)
		}
		e.Message = c.refusal(e, f, answer)
		e.RetryAfter = retryAfter(answer.header, time.Now())
	default:
		e.Class = cloud.ClassServer
		e.Message = c.misread(answer, cause)
		if errors.Is(cause, errCut) {
			e.Cause = answer.ctx.Err() // when the call's time was over while it read
		}
	}
	if id := cleanID(answer.header.Get("X-Request-Id")); id != "" {
		e.RequestID = id
	}
	if c.secrets.in(e.RequestID) || c.secrets.in(e.Code) { // no honest server does that
		e.RequestID, e.Code = "", ""
	}
	e.Unsent = answer.status == http.StatusProxyAuthRequired // the proxy keeps it
	e.Ambiguous = k == write && e.Class == cloud.ClassServer && answer.status != http.StatusNotFound && !e.Unsent
	return e
}

// refusal is the sentence for a status of 400 and above.
func (c *caller) refusal(e *cloud.Error, f fault, answer *call) string {
	explanation := c.secrets.scrub(lasting(f.message, f.requestID, answer.header.Get("X-Request-Id"), answer.header.Get("Date"), answer.date))
	switch {
	case answer.status == http.StatusProxyAuthRequired:
		return c.proxyRefusal(answer.status)
	case e.Class == cloud.ClassAuthentication:
		hint := "the cloud refused the signature: check the access key, the secret key (and the security token of temporary keys), " +
			"this machine's clock, and that endpoint and region belong to the account"
		if explanation != "" {
			hint += " (the cloud says: " + explanation + ")"
		}
		return hint
	case e.Class == cloud.ClassUnsupported && answer.status == http.StatusNotFound:
		return "the region's API does not have this call, or the endpoint " + c.endpoint + " is not that of the " + c.service + " service"
	case answer.status == http.StatusBadRequest && e.Class == cloud.ClassPermission:
		return "the project does not belong to these keys: check projectID (the cloud says: " + explanation + ")"
	case explanation != "":
		return explanation
	default:
		return fmt.Sprintf("%s, without an explanation this operator can read (%s, %d bytes)",
			statusText(answer.status), contentType(answer.header), len(answer.body))
	}
}

// misread is the sentence for an answer below 400 that can't be used.
func (c *caller) misread(answer *call, cause error) string {
	if answer.status >= 300 {
		return fmt.Sprintf("the endpoint %s answers with a redirect, which is not followed: check the endpoint", c.endpoint)
	}
	for _, known := range []error{errTooLong, errTooMany, errCrowded, errCut} {
		if errors.Is(cause, known) {
			return known.Error()
		}
	}
	if own, ok := errors.AsType[*unreadableError](cause); ok {
		return c.secrets.scrub(own.Error())
	}
	return fmt.Sprintf("the answer can't be read (%s, %d bytes): check that the endpoint %s is that of the %s service",
		contentType(answer.header), len(answer.body), c.endpoint, c.service)
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "status " + strconv.Itoa(status)
}

// maxRetryAfter bounds what a server can make the operator wait.
const maxRetryAfter = time.Hour

// retryAfter reads the Retry-After header: seconds or a date (RFC 9110, 10.2.3). It
// is 0 when there is none, when it is in the past or can't be read.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	date, err := http.ParseTime(value)
	if err != nil || !date.After(now) {
		return 0
	}
	return min(date.Sub(now), maxRetryAfter)
}
