package api

import (
	"fmt"
	"net/http"
	"time"

	"vpcmirror.io/operator/test/cloudsim/fault"
)

// answerWithFault shapes the answer as the fault says. Where the fault has no effect of its own on a refused request, the
// refusal goes out.
func (c *call) answerWithFault(h handler, refused *response) (answer response, cut bool) {
	f := c.fault
	normal := func() response {
		switch {
		case refused != nil:
			return *refused
		case f.EffectIn > 0:
			return c.later(h)
		default:
			return h(c)
		}
	}
	switch f.Kind {
	case fault.Stale, fault.Accepted:
		return normal(), false
	case fault.Slow:
		answer := normal()
		c.hold(time.Duration(f.Delay))
		return answer, false
	default: // the fault hides the answer
	}
	if f.AfterEffect || f.EffectIn > 0 {
		normal()
	}
	if f.Kind == fault.Reset {
		return response{}, true
	}
	return *faultAnswer(f), false
}

// hold waits until the delay is over, the client is gone or the server closes.
func (c *call) hold(delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.r.Context().Done():
	case <-c.closed:
	}
}

func faultAnswer(f *fault.Fault) *response {
	var answer *response
	switch f.Kind {
	case fault.HTML:
		status := f.Status
		if status == 0 {
			status = http.StatusBadGateway
		}
		text := http.StatusText(status)
		page := fmt.Sprintf("<html>\r\n<head><title>%d %s</title></head>\r\n<body><center><h1>%d %s</h1></center></body>\r\n</html>\r\n", status, text, status, text)
		answer = &response{status: status, body: []byte(page), header: http.Header{"Content-Type": {"text/html"}}}
	case fault.Empty:
		status := f.Status
		if status == 0 {
			status = http.StatusOK
		}
		answer = &response{status: status}
	default:
		answer = gatewayError(f.Status, f.Code, f.Message)
	}
	setRetryAfter(answer, f.RetryAfter)
	return answer
}

func setRetryAfter(answer *response, value string) {
	if value == "" {
		return
	}
	if answer.header == nil {
		answer.header = http.Header{}
	}
	answer.header.Set("Retry-After", value)
}
