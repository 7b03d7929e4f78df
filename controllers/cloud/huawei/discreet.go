package huawei

import (
	"io"
	"net/http"
	"regexp"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// idInText is an ID of the cloud in a sentence of it: a UUID, or 32 digits as those of
// projects.
var idInText = regexp.MustCompile(`(?i)\b([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})\b`)

// discreet is what a sentence of the cloud says to somebody who shares the account with
// others: IDs that the request did not name are left out, and so is what stands in the way
// of a request, which can be anybody's and may be called by its name.
func discreet(class cloud.Class, sentence, request string) string {
	if sentence == "" {
		return ""
	}
	if class == cloud.ClassConflict {
		return "something that the account has already is in the way of the request"
	}
	request = strings.ToLower(request)
	return idInText.ReplaceAllStringFunc(sentence, func(id string) string {
		if strings.Contains(request, strings.ToLower(id)) {
			return id
		}
		return "(an ID)"
	})
}

// textOf is what a request says: its URL and its body, as far as that can be read twice.
func textOf(req *http.Request) string {
	said := req.URL.RequestURI()
	if req.GetBody == nil {
		return said
	}
	body, err := req.GetBody()
	if err != nil {
		return said
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, 1<<20))
	if err != nil {
		return said
	}
	return said + " " + string(content)
}
