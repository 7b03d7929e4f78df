package cloud

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var hostPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

var errNoOrigin = errors.New("it is no origin like https://vpc.cn-north-4.myhuaweicloud.com: " +
	"give http or https, a host in ASCII, and a port where it is not the usual one, without user, path or query")

// ParseOrigin gives the one spelling of an origin: scheme and host in lower case, the port
// only where it is not the scheme's own, nothing behind it. The host must be ASCII, so
// that what looks alike is alike. Neither host is looked up, nor anything sent.
func ParseOrigin(value string) (string, error) {
	u, err := url.Parse(value)
	if err != nil || u.Opaque != "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", errNoOrigin
	}
	usual, ok := map[string]uint64{"http": 80, "https": 443}[u.Scheme]
	if !ok {
		return "", errNoOrigin
	}
	host := strings.ToLower(u.Hostname())
	if address, err := netip.ParseAddr(host); err == nil && address.Is6() && address.Zone() == "" {
		host = "[" + address.String() + "]"
	} else if !hostPattern.MatchString(host) {
		return "", errNoOrigin
	}
	port, err := portOf(u, usual)
	if err != nil {
		return "", err
	}
	return u.Scheme + "://" + host + port, nil
}

// portOf gives the port behind a host with its colon, empty for the usual one.
func portOf(u *url.URL, usual uint64) (string, error) {
	if u.Port() == "" {
		return "", nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case err != nil || port == 0:
		return "", errNoOrigin
	case port == usual:
		return "", nil
	}
	return ":" + strconv.FormatUint(port, 10), nil
}
