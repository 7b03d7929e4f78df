// Package prometheus runs a real Prometheus in tests, with the project's own rules, monitors and dashboards.
//
//	monitors, err := prometheus.Monitors()                     // config/prometheus/{service,pod}_monitor.yaml
//	rules, err := prometheus.Rules(prometheus.Hasten(60))      // config/prometheus/rules.yaml, an hour as a minute
//	server, err := prometheus.Run(ctx, prometheus.Config{
//		Folder: t.TempDir(), Rules: rules, Interval: time.Second,
//		Jobs: []prometheus.Job{monitors[0].Job(prometheus.Files(found))},
//	})
//	defer server.Stop()
//	alert, err := server.AwaitFiring(ctx, "VPCMirrorBlind", map[string]string{"session": "web"})
//
// The program is Debian's package prometheus; [Need] skips a test that has none. A monitor becomes the scrape
// configuration that the Prometheus operator makes of it, so what a test scrapes is what the monitor selects,
// with its labels. Where there is no cluster with pods, [Static] stands for what Prometheus finds in one.
//
// It may import test/cloudsim, test/demo, test/env/checkout and test/env/need.
package prometheus
