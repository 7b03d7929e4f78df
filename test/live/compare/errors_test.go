package compare

import "testing"

func TestCodeAndMessageAreFoundInEveryBodyOfAnError(t *testing.T) {
	for body, want := range map[string][2]string{
		`{"error_code":"VPC.9904","error_msg":"gone","request_id":"r"}`:                   {"VPC.9904", "gone"},
		`{"code":"VPC.0002","message":"old"}`:                                             {"VPC.0002", "old"},
		`{"NeutronError":{"type":"PortNotFound","message":"no port","detail":""}}`:        {"PortNotFound", "no port"},
		`{"badRequest":{"code":"Common.0011","message":"wrong"}}`:                         {"Common.0011", "wrong"},
		`<html>bad gateway</html>`:                                                        {"", "<html>bad gateway</html>"},
		`{"error":{"code":"IAM.0001","message":"who","title":"Unauthorized"},"more":"x"}`: {"IAM.0001", "who"},
		`[]`: {"", "[]"},
	} {
		code, message := ErrorOf([]byte(body))
		if got := [2]string{code, message}; got != want {
			t.Errorf("%s gives %q, want %q", body, got, want)
		}
	}
}
