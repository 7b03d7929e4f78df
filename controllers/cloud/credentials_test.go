package cloud_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestPrintedCredentialsShowWhereTheyLeadButNoKey(t *testing.T) {
	c := cloud.Credentials{AccessKey: "ACCESSKEY1", SecretKey: "secretkey1", SecurityToken: "token1", Region: "cn-north-4"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("connecting", "credentials", c, "inside", struct{ C cloud.Credentials }{c})
	encoded, err := json.Marshal(map[string]any{"c": c, "p": &c})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprint(c), fmt.Sprint(&c), fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprintf("%+v", struct{ C cloud.Credentials }{c}),
		fmt.Sprintf("%#v", struct{ C cloud.Credentials }{c}), log.String(), string(encoded),
	} {
		for _, secret := range []string{"ACCESSKEY1", "secretkey1", "token1"} {
			if strings.Contains(shown, secret) {
				t.Errorf("%q shows %q", shown, secret)
			}
		}
		if !strings.Contains(shown, "cn-north-4") {
			t.Errorf("%q does not show the region", shown)
		}
	}
}
