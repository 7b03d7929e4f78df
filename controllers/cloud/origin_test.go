package cloud

import (
	"testing"

	"pgregory.net/rapid"
)

func TestAnOriginHasOneSpelling(t *testing.T) {
	for value, want := range map[string]string{
		"https://vpc.example":               "https://vpc.example",
		"HTTPS://VPC.Example":               "https://vpc.example",
		"https://vpc.example/":              "https://vpc.example",
		"https://vpc.example//":             "https://vpc.example",
		"https://vpc.example:443":           "https://vpc.example",
		"https://vpc.example:00443/":        "https://vpc.example",
		"https://vpc.example:":              "https://vpc.example",
		"https://vpc.example:80":            "https://vpc.example:80",
		"http://vpc.example:80":             "http://vpc.example",
		"http://vpc.example:443":            "http://vpc.example:443",
		"http://127.0.0.1:8600":             "http://127.0.0.1:8600",
		"http://[::1]:8600":                 "http://[::1]:8600",
		"http://[0:0:0:0:0:0:0:1]:8600":     "http://[::1]:8600",
		"https://xn--bcher-kva.example":     "https://xn--bcher-kva.example",
		"":                                  "",
		"vpc.example":                       "",
		"vpc.example:443":                   "",
		"//vpc.example":                     "",
		"https:vpc.example":                 "",
		"https://":                          "",
		"https:///vpc.example":              "",
		"ftp://vpc.example":                 "",
		"file:///etc/passwd":                "",
		"https://user@vpc.example":          "",
		"https://user:password@vpc.example": "",
		"https://vpc.example@evil.example":  "",
		"https://@vpc.example":              "",
		"https://vpc.example/v3":            "",
		"https://vpc.example/%2e":           "",
		"https://vpc.example?a=b":           "",
		"https://vpc.example?":              "",
		"https://vpc.example#a":             "",
		"https://vpc.example:0":             "",
		"https://vpc.example:65536":         "",
		"https://vpc.example:-1":            "",
		"https://vpc.example:https":         "",
		"https://vpc.example.":              "",
		"https://.vpc.example":              "",
		"https://*.example":                 "",
		"https://bücher.example":            "",
		"https://vpc。example":               "", // an ideographic full stop, which some resolvers take for a dot
		"https://vpc.examplе":               "", // a Cyrillic letter
		"https://vpc%2eexample":             "",
		"https://vpc.example\\@evil":        "",
		"https://vpc.example\n":             "",
		"https://vpc .example":              "",
		"http://[fe80::1%25eth0]":           "",
		"http://[::ffff:127.0.0.1]":         "http://[::ffff:127.0.0.1]",
	} {
		t.Run(value, func(t *testing.T) {
			got, err := ParseOrigin(value)
			if got != want || (err == nil) != (want != "") {
				t.Errorf("got %q and %v, want %q", got, err, want)
			}
		})
	}
}

func TestTheSpellingOfAnOriginIsReadAsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`(https?|HTTP)://[a-zA-Z0-9.\[\]:@%/-]{0,12}`).Draw(t, "value")
		origin, err := ParseOrigin(value)
		if err != nil {
			return
		}
		if again, err := ParseOrigin(origin); again != origin || err != nil {
			t.Fatalf("%q gives %q, which gives %q and %v", value, origin, again, err)
		}
	})
}
