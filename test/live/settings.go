package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"vpcmirror.io/operator/test/cloudsim/sign"
	"vpcmirror.io/operator/test/live/cases"
)

// The variables of the environment. The first four are those of the cloud's SDKs.
const (
	envAccessKey   = "HUAWEICLOUD_SDK_AK"
	envSecretKey   = "HUAWEICLOUD_SDK_SK" // the name of a variable
	envToken       = "HUAWEICLOUD_SDK_SECURITY_TOKEN"
	envProject     = "HUAWEICLOUD_SDK_PROJECT_ID"
	envRegion      = "VPCMIRROR_REGION"
	envEndpoint    = "VPCMIRROR_ENDPOINT"
	envIAMEndpoint = "VPCMIRROR_IAM_ENDPOINT"
	envSources     = "VPCMIRROR_LIVE_SOURCES"
	envTarget      = "VPCMIRROR_LIVE_TARGET"
)

// settings are what flags and environment say.
type settings struct {
	region, project, endpoint, iam string
	sources, target                string
	confirm                        string
	perSecond                      float64
	maxCalls                       int
	maxTime                        time.Duration
	lag, patience                  time.Duration
	out, only, switches            string
	ledgers, mark                  string
	keys                           sign.Credentials
}

// of the account: whose flags are those of run and clean.
func (s *settings) account(flags *flag.FlagSet, getenv func(string) string) {
	s.keys = sign.Credentials{
		AccessKey: strings.TrimSpace(getenv(envAccessKey)), SecretKey: strings.TrimSpace(getenv(envSecretKey)), Token: strings.TrimSpace(getenv(envToken)),
	}
	flags.StringVar(&s.region, "region", getenv(envRegion), "`region` of the account, such as cn-north-4 ("+envRegion+")")
	flags.StringVar(&s.project, "project", getenv(envProject), "`ID` of the project in that region, 32 hex digits ("+envProject+")")
	flags.StringVar(&s.endpoint, "endpoint", getenv(envEndpoint), "`origin` of the VPC service; default https://vpc.REGION.myhuaweicloud.com ("+envEndpoint+")")
	flags.StringVar(&s.iam, "iam-endpoint", getenv(envIAMEndpoint), "`origin` of IAM; default https://iam.REGION.myhuaweicloud.com ("+envIAMEndpoint+")")
	flags.StringVar(&s.confirm, "confirm", "", "the project's `ID` once more: yes, this project may be written to")
	flags.Float64Var(&s.perSecond, "per-second", 4, "pace of the requests to the account, a `number`")
	flags.DurationVar(&s.patience, "patience", 10*time.Second, "how long is waited until a read shows a change")
	flags.DurationVar(&s.lag, "lag", 35*time.Second, "how long a create without an answer may still take effect: so much later the account is searched again")
}

// run are the flags of run alone.
func (s *settings) run(flags *flag.FlagSet, getenv func(string) string) {
	flags.StringVar(&s.sources, "sources", getenv(envSources), "`ports` that may be mirror sources, one or two with a comma between; cases that need them are not asked without ("+envSources+")")
	flags.StringVar(&s.target, "target", getenv(envTarget), "`port` that may be the mirror target ("+envTarget+")")
	flags.IntVar(&s.maxCalls, "max-calls", 1500, "`number` of requests after which the run ends and cleans up")
	flags.DurationVar(&s.maxTime, "max-time", 20*time.Minute, "after which the run ends and cleans up")
}

// both are the flags of whatever compares two sides.
func (s *settings) both(flags *flag.FlagSet) {
	flags.StringVar(&s.only, "only", "", "`patterns` of the cases to ask, with commas between, such as sources-*")
	flags.StringVar(&s.out, "out", "bin/live", "`folder` in which each run gets one of its own")
	flags.StringVar(&s.switches, "quirks", "", "`switches` of the simulator, with commas between: quirks by name, without:CALL, lag:1s")
}

var (
	projectID = regexp.MustCompile(`^[0-9a-f]{32}$`)
	uuid      = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	regionID  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
)

// missing names what a run needs and does not have.
func (s *settings) missing() []string {
	var out []string
	for _, need := range []struct{ value, name string }{
		{s.keys.AccessKey, envAccessKey}, {s.keys.SecretKey, envSecretKey}, {s.region, "--region (" + envRegion + ")"}, {s.project, "--project (" + envProject + ")"},
	} {
		if need.value == "" {
			out = append(out, need.name)
		}
	}
	return out
}

// check completes the settings of an account, and says in a sentence what is wrong with one.
func (s *settings) check() error {
	switch {
	case !regionID.MatchString(s.region):
		return fmt.Errorf("--region=%q is no region: name one such as cn-north-4", s.region)
	case !projectID.MatchString(s.project):
		return fmt.Errorf("--project=%q is no project ID: give its 32 hex digits", s.project)
	}
	if s.endpoint == "" {
		s.endpoint = "https://vpc." + s.region + ".myhuaweicloud.com"
	}
	if s.iam == "" {
		s.iam = "https://iam." + s.region + ".myhuaweicloud.com"
	}
	for name, origin := range map[string]*string{"--endpoint": &s.endpoint, "--iam-endpoint": &s.iam} {
		*origin = strings.TrimRight(*origin, "/")
		if err := checkOrigin(*origin); err != nil {
			return fmt.Errorf("%s=%s: %w", name, *origin, err)
		}
	}
	if simulated := strings.HasPrefix(s.endpoint, "http:"); s.perSecond <= 0 || s.perSecond > mostPerSecond && !simulated {
		return fmt.Errorf("--per-second=%g: name a number above 0 and up to %d", s.perSecond, mostPerSecond)
	}
	return nil
}

// mostPerSecond bounds the pace at which a real account is asked.
const mostPerSecond = 20

// checkOrigin refuses what would send a token in the clear.
func checkOrigin(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return errors.New("give an origin, such as https://vpc.cn-north-4.myhuaweicloud.com")
	}
	if address := net.ParseIP(u.Hostname()); u.Scheme == "http" && address.IsLoopback() {
		return nil // a simulator on this machine
	}
	if u.Scheme != "https" {
		return errors.New("it has to begin with https://")
	}
	return nil
}

// ports are the ports given: no more than two sources, all of them different.
func (s *settings) ports() (sources []string, target string, err error) {
	seen := map[string]bool{}
	list := strings.FieldsFunc(s.sources, func(r rune) bool { return r == ',' || r == ' ' })
	if len(list) > 2 {
		return nil, "", fmt.Errorf("--sources names %d ports: give one or two", len(list))
	}
	for _, id := range append(list, strings.TrimSpace(s.target)) {
		switch {
		case id == "":
			continue
		case !uuid.MatchString(id):
			return nil, "", fmt.Errorf("%q in --sources or --target is no port: give its ID, a UUID in lower case", id)
		case seen[id]:
			return nil, "", fmt.Errorf("%q is named twice in --sources and --target: give different ports", id)
		}
		seen[id] = true
	}
	return list, strings.TrimSpace(s.target), nil
}

// selected are the cases that --only names, all of them where it is empty.
func (s *settings) selected() ([]cases.Case, error) {
	all := cases.All()
	if s.only == "" {
		return all, nil
	}
	var out []cases.Case
	for pattern := range strings.SplitSeq(s.only, ",") {
		found := false
		for _, c := range all {
			matches, err := path.Match(strings.TrimSpace(pattern), c.Name)
			if err != nil {
				return nil, fmt.Errorf("--only: the pattern %q is malformed: %w", pattern, err)
			}
			if matches {
				out, found = append(out, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("--only: no case has the name %q; live cases lists them", pattern)
		}
	}
	return out, nil
}

func split(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
