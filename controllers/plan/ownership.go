package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mark names in the cloud whose an object is. The cloud has no tags and no
// idempotency token, and names are not unique, so the mark is written at the end of
// the description; after a crash it is how we find what we made.
type Mark struct {
	// Cluster is 8 hexadecimal digits, see ClusterID.
	Cluster string
	// UID of the Kubernetes object.
	UID string
	// Part numbers the cloud objects of one Kubernetes object, from 1.
	Part int
}

// maxDescription is the cloud's limit for a description. Its documents speak of characters,
// and don't say that these are not counted in bytes.
const maxDescription = 255

// markBegins is how a mark begins, and markRest is what follows: a mark has no second bracket.
const markBegins = "[vpcmirror "

var markRest = regexp.MustCompile(`^([0-9a-f]{8})/([0-9A-Za-z-]{1,64})(?:/([1-9][0-9]{0,3}))?\]$`)

// ClusterID names a cluster by its kube-system namespace's UID, which lives as long
// as the cluster does.
func ClusterID(kubeSystemUID string) string {
	sum := sha256.Sum256([]byte(kubeSystemUID))
	return hex.EncodeToString(sum[:4])
}

// String reads like [vpcmirror 1a2b3c4d/0f3c…], with /2 at the end for the second part: the
// first has no number, as most objects have one part alone.
func (m Mark) String() string {
	if m.Part > 1 {
		return fmt.Sprintf("[vpcmirror %s/%s/%d]", m.Cluster, m.UID, m.Part)
	}
	return fmt.Sprintf("[vpcmirror %s/%s]", m.Cluster, m.UID)
}

// Describe joins the user's description and the mark. A description that would not
// fit is cut, never the mark.
func (m Mark) Describe(description string) string { return ending(description, m.String()) }

// ending joins a description and what it has to end with.
func ending(description, end string) string {
	if description = text(description, maxDescription-len(end)-1); description == "" {
		return end
	}
	return description + " " + end
}

// text is a text as it is sent: without the white space at its ends, which the cloud may
// drop, and cut to so many bytes, but not within a character.
func text(s string, bytes int) string {
	s = trim(s)
	if len(s) <= bytes {
		return s
	}
	for bytes > 0 && !utf8.RuneStart(s[bytes]) {
		bytes--
	}
	return trim(s[:bytes])
}

// trim takes off what one service or another takes for white space at the ends of a text.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' || unicode.IsSpace(r) })
}

// MarkOf returns the mark at the end of a description.
func MarkOf(description string) (Mark, bool) {
	description = trim(description)
	begins := strings.LastIndex(description, markBegins) // an account has many, so the pattern is only tried where one can be
	if begins < 0 || !strings.HasSuffix(description, "]") {
		return Mark{}, false
	}
	m := markRest.FindStringSubmatch(description[begins+len(markBegins):])
	if m == nil {
		return Mark{}, false
	}
	mark := Mark{Cluster: m[1], UID: m[2], Part: 1}
	if m[3] != "" {
		mark.Part, _ = strconv.Atoi(m[3]) // at most four digits
	}
	return mark, true
}

// Released is the description of what is retained when its object goes: it says whose it
// was, and bears no mark any more.
func (m Mark) Released(description string) string {
	released := fmt.Sprintf("[retained from vpcmirror %s/%s]", m.Cluster, m.UID)
	if strings.HasSuffix(trim(description), released) {
		return trim(description)
	}
	kept, _ := strings.CutSuffix(trim(description), m.String())
	return ending(kept, released)
}

// Ownership is what the description of a cloud object says to an owner that has its ID.
type Ownership int

const (
	// OwnershipOurs: it bears the owner's mark.
	OwnershipOurs Ownership = iota
	// OwnershipForeign: it bears another mark.
	OwnershipForeign
	// OwnershipUnmarked: it bears none.
	OwnershipUnmarked
)

// OwnershipOf reads a description for the owner that m marks, and returns the mark there.
func (m Mark) OwnershipOf(description string) (Ownership, Mark) {
	found, ok := MarkOf(description)
	switch {
	case !ok:
		return OwnershipUnmarked, Mark{}
	case found == m:
		return OwnershipOurs, found
	default:
		return OwnershipForeign, found
	}
}

// maxNamePrefix leaves room for a hyphen and 8 digits in the cloud's 64 characters.
const maxNamePrefix = 55

var notInName = regexp.MustCompile(`[^0-9A-Za-z_.\-\p{Han}]`)

// CloudName is the object's name in the cloud when the spec gives none: namespace
// and name, cut, and the first 8 hexadecimal digits of the UID, because two
// namespaces or a re-created object may have the same name.
func CloudName(namespace, name, uid string) string {
	prefix := notInName.ReplaceAllString(namespace+"-"+name, "-")
	if len(prefix) > maxNamePrefix {
		prefix = prefix[:maxNamePrefix]
	}
	digits := strings.ReplaceAll(uid, "-", "")
	if len(digits) > 8 {
		digits = digits[:8]
	}
	return prefix + "-" + digits
}
