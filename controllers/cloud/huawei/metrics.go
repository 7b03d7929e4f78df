package huawei

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/lru"

	"vpcmirror.io/operator/controllers/cloud"
)

// metrics count and time the calls to the cloud.
type metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	waiting  *prometheus.HistogramVec
	// accounts are those that have series: of one that was not used for long, when many others were, they go.
	accounts *lru.Cache
}

// measuredAccounts is how many accounts have series, about 100 each: as many as the inventory keeps.
const measuredAccounts = 256

func newMetrics(registerer prometheus.Registerer) *metrics {
	buckets := []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4}
	m := &metrics{
		calls: register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vpcmirror_cloud_calls_total",
			Help: "Calls to the cloud's API by account (region/project, or unproven for keys that were never taken), operation and result: OK, the class of the error, or NotSent for what this manager held back, of which the cloud knows nothing.",
		}, []string{"account", "op", "result"})),
		duration: register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "vpcmirror_cloud_call_duration_seconds",
			Help:    "How long calls that were sent to the cloud's API took, the limiter's wait not included.",
			Buckets: buckets,
		}, []string{"account", "op"})),
		waiting: register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "vpcmirror_cloud_limiter_wait_seconds",
			Help:    "How long calls waited for the limiter of their account and region.",
			Buckets: append([]float64{0.001}, buckets...),
		}, []string{"account"})),
	}
	m.accounts = lru.NewWithEvictionFunc(measuredAccounts, func(key lru.Key, _ any) {
		if account, ok := key.(string); ok {
			m.forget(account)
		}
	})
	return m
}

// register gives the collector that is in force: the one registered before under
// this name, if there is one, because a process may make several factories.
func register[C prometheus.Collector](registerer prometheus.Registerer, collector C) C {
	if registerer == nil {
		return collector
	}
	err := registerer.Register(collector)
	if existing, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := existing.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic("huawei: registering metrics: " + err.Error())
	}
	return collector
}

// waited notes how long a call of an account waited for its turn.
func (m *metrics) waited(account string, d time.Duration) {
	m.accounts.Add(account, nil)
	m.waiting.WithLabelValues(account).Observe(d.Seconds())
}

// observe counts and times a call that was sent, or for which no connection could be made.
func (m *metrics) observe(account, op string, err error, took time.Duration) {
	m.accounts.Add(account, nil)
	m.calls.WithLabelValues(account, op, resultOf(err)).Inc()
	m.duration.WithLabelValues(account, op).Observe(took.Seconds())
}

// notSent counts a call that this process held back: the cloud has no part in it, and it took no time.
func (m *metrics) notSent(account, op string) {
	m.accounts.Add(account, nil)
	m.calls.WithLabelValues(account, op, "NotSent").Inc()
}

func (m *metrics) forget(account string) {
	labels := prometheus.Labels{"account": account}
	m.calls.DeletePartialMatch(labels)
	m.duration.DeletePartialMatch(labels)
	m.waiting.DeletePartialMatch(labels)
}

func resultOf(err error) string {
	if err == nil {
		return "OK"
	}
	if class := cloud.ClassOf(err); class != "" {
		return string(class)
	}
	return "Other"
}
