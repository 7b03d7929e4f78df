package huawei

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vpcmirror.io/operator/controllers/cloud"
)

// metrics count and time the calls to the cloud.
type metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	waiting  prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	buckets := []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4}
	return &metrics{
		calls: register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vpcmirror_cloud_calls_total",
			Help: "Calls to the cloud's API by operation and result: OK, or the class of the error.",
		}, []string{"op", "result"})),
		duration: register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "vpcmirror_cloud_call_duration_seconds",
			Help:    "How long calls to the cloud's API took, the limiter's wait not included.",
			Buckets: buckets,
		}, []string{"op"})),
		waiting: register(registerer, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "vpcmirror_cloud_limiter_wait_seconds",
			Help:    "How long calls waited for the limiter of their account and region.",
			Buckets: append([]float64{0.001}, buckets...),
		})),
	}
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

func (m *metrics) observe(op string, err error, took time.Duration) {
	m.calls.WithLabelValues(op, resultOf(err)).Inc()
	m.duration.WithLabelValues(op).Observe(took.Seconds())
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
