package telemetry

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Objects tells of all filters and sessions. It is a [prometheus.Collector], and may be asked by several
// goroutines at once.
type Objects struct {
	// Cache is read without being changed: its objects must be its own.
	Cache client.Reader
	// Leads is closed once this manager leads.
	Leads <-chan struct{}
	// Detail says of which sessions there are series.
	Detail Detail
	// Log says why a scrape got nothing.
	Log logr.Logger
}

// patience is how long a scrape waits for a cache that is not synced yet.
const patience = time.Second

// Describe lists the families.
func (o *Objects) Describe(out chan<- *prometheus.Desc) {
	for _, d := range described {
		out <- d
	}
}

// Collect reads the cache.
func (o *Objects) Collect(out chan<- prometheus.Metric) {
	select {
	case <-o.Leads:
	default:
		gauge(out, leading, 0)
		return
	}
	gauge(out, leading, 1)
	filters, sessions, err := o.read()
	if err != nil {
		o.Log.Error(err, "The metrics of mirror filters and sessions can't be told")
		gauge(out, unreadable, 1)
		return
	}
	gauge(out, unreadable, 0)
	detail := o.Detail.of(len(filters.Items), len(sessions.Items))
	gauge(out, detailed, 1, string(detail))
	ready := readiness{}
	for i := range sessions.Items {
		s := &sessions.Items[i]
		ready.count("MirrorSession", s.Status.Conditions)
	}
	told, leftOut := choose(detail, sessions.Items, troubled)
	for _, s := range told {
		tellSession(out, s)
	}
	gauge(out, withheld, float64(leftOut))
	for i := range filters.Items {
		f := &filters.Items[i]
		ready.count("MirrorFilter", f.Status.Conditions)
	}
	those, leftOut := choose(detail, filters.Items, unready)
	for _, f := range those {
		tellConditions(out, filterCondition, f.Status.Conditions, f.Namespace, f.Name)
	}
	gauge(out, withheldFilters, float64(leftOut))
	ready.tell(out)
}

func (o *Objects) read() (filters v1alpha1.MirrorFilterList, sessions v1alpha1.MirrorSessionList, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Twenty thousand copies at each scrape would be garbage: what the cache has is only read.
	if err := o.Cache.List(ctx, &filters, client.UnsafeDisableDeepCopy); err != nil {
		return filters, sessions, fmt.Errorf("list the MirrorFilters: %w", err)
	}
	if err := o.Cache.List(ctx, &sessions, client.UnsafeDisableDeepCopy); err != nil {
		return filters, sessions, fmt.Errorf("list the MirrorSessions: %w", err)
	}
	// What asks for a plan is there for a moment, and mirrors nothing.
	filters.Items = slices.DeleteFunc(filters.Items, func(f v1alpha1.MirrorFilter) bool { return v1alpha1.PlannedOf(&f) != "" })
	sessions.Items = slices.DeleteFunc(sessions.Items, func(s v1alpha1.MirrorSession) bool { return v1alpha1.PlannedOf(&s) != "" })
	return filters, sessions, nil
}

func tellSession(out chan<- prometheus.Metric, s *v1alpha1.MirrorSession) {
	of := []string{s.Namespace, s.Name}
	with := func(labels ...string) []string { return append(append([]string(nil), of...), labels...) }
	tellConditions(out, sessionCondition, s.Status.Conditions, of...)
	told := map[[2]string]bool{}
	for i := range s.Status.Findings {
		f := &s.Status.Findings[i]
		if is := [2]string{f.Reason, string(f.Severity)}; !told[is] { // several sources may have the same
			told[is] = true
			gauge(out, sessionFinding, 1, with(is[:]...)...)
		}
	}
	if s.Status.Target != nil && s.Status.VNI != nil {
		gauge(out, sessionInfo, 1, with(s.Status.Target.ID(), s.Status.Target.NodeName, strconv.Itoa(int(*s.Status.VNI)))...)
	}
	if after := s.Spec.SilenceAfter; after != nil {
		gauge(out, sessionSilence, after.Seconds(), of...)
	}
	tellChanges(out, s.Status.Changes, with)
	if s.Status.Traffic != nil {
		tellTraffic(out, s.Status.Traffic, of, with)
		tellRules(out, s.Status.Traffic.Rules, with)
	}
}

// tellChanges tells when each of those who make changes made the last one: what it was is a text, and no label.
func tellChanges(out chan<- prometheus.Metric, changes []v1alpha1.Change, with func(...string) []string) {
	last := map[v1alpha1.ChangedBy]time.Time{}
	for i := range changes {
		if c := &changes[i]; c.At.After(last[c.By]) {
			last[c.By] = c.At.Time
		}
	}
	for by, at := range last {
		gauge(out, sessionChanged, seconds(at), with(string(by))...)
	}
}

func tellRules(out chan<- prometheus.Metric, rules []v1alpha1.RuleCounts, with func(...string) []string) {
	told := map[string]bool{}
	for i := range rules {
		rule := fmt.Sprintf("%s %d", rules[i].Direction, rules[i].Priority)
		if !told[rule] {
			told[rule] = true
			counter(out, rulePackets, rules[i].Packets, with(rule)...)
		}
	}
}

func tellTraffic(out chan<- prometheus.Metric, t *v1alpha1.Traffic, of []string, with func(...string) []string) {
	counter(out, sessionPackets, t.Packets, of...)
	counter(out, sessionBytes, t.Bytes, of...)
	counter(out, sessionUnexpected, t.Unexpected, of...)
	counter(out, sessionUndecided, t.Undecided, of...)
	counter(out, sessionForeign, t.ForeignSource, of...)
	counter(out, sessionTruncated, t.Truncated, of...)
	counter(out, sessionDropped, t.Dropped, of...)
	if at := t.LastPacketAt; at != nil {
		gauge(out, sessionLast, seconds(at.Time), of...)
	}
	if len(t.Sources) < 2 { // of a single one all is told already
		return
	}
	told := map[[2]string]bool{} // one that a status names twice would spoil the whole scrape
	for i := range t.Sources {
		source := &t.Sources[i]
		if told[[2]string{source.InterfaceID, source.Address}] {
			continue
		}
		told[[2]string{source.InterfaceID, source.Address}] = true
		is := with(source.InterfaceID, source.Address)
		counter(out, sourcePackets, source.Packets, is...)
		counter(out, sourceTruncated, source.Truncated, is...)
		if at := source.LastPacketAt; at != nil {
			gauge(out, sourceLast, seconds(at.Time), is...)
		}
	}
}

func tellConditions(out chan<- prometheus.Metric, family *prometheus.Desc, conditions []metav1.Condition, of ...string) {
	told := map[string]bool{}
	for i := range conditions {
		c := &conditions[i]
		if told[c.Type] {
			continue
		}
		told[c.Type] = true
		gauge(out, family, 1, append(append([]string(nil), of...), c.Type, string(c.Status), c.Reason)...)
	}
}

// readiness counts objects by kind and by the status of Ready.
type readiness map[[2]string]int

func (r readiness) count(kind string, conditions []metav1.Condition) {
	r[[2]string{kind, string(statusOf(conditions, v1alpha1.ConditionReady))}]++
}

// tell gives every combination, so that none is missing while it is 0.
func (r readiness) tell(out chan<- prometheus.Metric) {
	for _, kind := range []string{"MirrorFilter", "MirrorSession"} {
		for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
			gauge(out, objects, float64(r[[2]string{kind, string(status)}]), kind, string(status))
		}
	}
}

func statusOf(conditions []metav1.Condition, kind string) metav1.ConditionStatus {
	for i := range conditions {
		if conditions[i].Type == kind {
			return conditions[i].Status
		}
	}
	return metav1.ConditionUnknown
}

func seconds(at time.Time) float64 { return float64(at.UnixMicro()) / 1e6 }

func gauge(out chan<- prometheus.Metric, family *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(family, prometheus.GaugeValue, value, labels...)
}

func counter(out chan<- prometheus.Metric, family *prometheus.Desc, value int64, labels ...string) {
	out <- prometheus.MustNewConstMetric(family, prometheus.CounterValue, float64(value), labels...)
}
