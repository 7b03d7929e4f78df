package v1alpha1_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestATextThatFitsNotIsCutAndSaysSo(t *testing.T) {
	for text, want := range map[string][2]string{
		"":                                  {"", ""},
		"eth0":                              {"eth0", "eth0"},
		"镜像":                                {"镜像", `\u955c\u50cf`},
		"a\x1b[31mb\a":                      {`a\x1b[31mb\a`, `a\x1b[31mb\a`},
		"a\u202eb\u009bc":                   {`a\u202eb\u009bc`, `a\u202eb\u009bc`},
		"one\ntwo":                          {"one\ntwo", `one\ntwo`},
		"a\xffb":                            {"a�b", `a\ufffdb`},
		strings.Repeat("a", 20):             {strings.Repeat("a", 20), strings.Repeat("a", 20)},
		strings.Repeat("a", 21):             {strings.Repeat("a", 14) + "… (+7)", strings.Repeat("a", 12) + "... (+9)"},
		strings.Repeat("a", 10_000):         {strings.Repeat("a", 11) + "… (+9989)", strings.Repeat("a", 9) + "... (+9991)"},
		strings.Repeat("\U0001f600", 20):    {strings.Repeat("\U0001f600", 20), `\U0001f600` + "... (+190)"},
		strings.Repeat("a", 112) + "\x00\n": {strings.Repeat("a", 12) + "… (+105)", strings.Repeat("a", 10) + "... (+108)"},
	} {
		if got := [2]string{v1alpha1.Fit(text, 20), v1alpha1.FitASCII(text, 20)}; got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestWhateverTheTextItFitsAndFittingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		text = strings.Repeat(text, rapid.SampledFrom([]int{1, 1, 1, 100}).Draw(t, "times"))
		limit := rapid.IntRange(0, 64).Draw(t, "limit")
		for name, f := range map[string]func(string, int) string{"Fit": v1alpha1.Fit, "FitASCII": v1alpha1.FitASCII} {
			got := f(text, limit)
			if n := utf8.RuneCountInString(got); n > limit || !utf8.ValidString(got) {
				t.Errorf("%s gives %q, %d characters of %d", name, got, n, limit)
			}
			if again := f(got, limit); again != got {
				t.Errorf("%s of %q is %q", name, got, again)
			}
			for _, r := range got {
				if !unicode.IsPrint(r) && r != '\n' || name == "FitASCII" && (r < ' ' || r > '~') {
					t.Errorf("%s leaves %q in %q", name, r, got)
				}
			}
		}
	})
}
