package huawei_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestAnErrorNamesNothingOfOthersToWhoSharesTheirAccount(t *testing.T) {
	const foreign, project = "5a1f0c7e-0000-4000-8000-0000000000ff", "fedcba9876543210fedcba9876543210"
	for name, c := range map[string]struct {
		status       int
		code, says   string
		alone, share string
	}{
		"IDs that the request does not name": {
			400, "VPC.0002", "the port " + otherID + " is not that of " + strings.ToUpper(foreign) + " in project " + project,
			"the port " + otherID + " is not that of " + strings.ToUpper(foreign) + " in project " + project,
			"the port " + otherID + " is not that of (an ID) in project (an ID)",
		},
		"the name of what is in the way": {
			409, "VPC.9902", "the priority is that of session ids-of-team-b",
			"the priority is that of session ids-of-team-b",
			"something that the account has already is in the way of the request",
		},
		"the same by its words": {
			400, "VPC.9902", "the filter is already in use by ids-of-team-b",
			"the filter is already in use by ids-of-team-b",
			"something that the account has already is in the way of the request",
		},
		"nothing of anybody": {
			400, "VPC.0002", "vni is not valid", "vni is not valid", "vni is not valid",
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer(c.status, `{"error_code":"`+c.code+`","error_msg":"`+c.says+`"}`))
			t.Cleanup(server.Close)
			got := map[bool]string{}
			for _, shared := range []bool{false, true} {
				client := connect(t, fast, cloud.Credentials{
					AccessKey: "ACCESSKEY1", SecretKey: "secretkey1", Region: "cn-north-4",
					ProjectID: "0123456789abcdef0123456789abcdef", Endpoint: server.URL, Shared: shared,
				})
				err := client.AddSources(t.Context(), someID, []string{otherID})
				if e, ok := errors.AsType[*cloud.Error](err); ok {
					got[shared] = e.Message
				}
			}
			if diff := cmp.Diff(map[bool]string{false: c.alone, true: c.share}, got); diff != "" {
				t.Errorf("by whether the account is shared (-want +got):\n%s", diff)
			}
		})
	}
}
