// Package lab is a real Kubernetes with three nodes on one Linux machine, in the
// network of the simulated cloud. The nodes are the servers of the cloud's own guide:
// ecs-source, ecs-test and ecs-target.
//
//	cluster, err := lab.Up(ctx, lab.Options{Images: []string{"bin/images/manager.tar"}})
//	defer cluster.Down()
//
// # What a node is
//
// A process with a network, a mount, a PID and a hostname namespace of its own, in which
// containerd, kubelet and kube-proxy run: the same programs as on a server, on the
// standard paths. The process that called Up holds the simulated cloud; every other
// process is its child and is killed by the kernel when it dies.
//
// # Two networks
//
//	            192.168.0.0/24, the simulated cloud: eth0 of each node is a TAP device on its
//	            switch; security groups and mirror sessions are obeyed here, copies arrive here
//	 ┌──────────────┬──────────────┐
//	eth0 .230      eth0 .161      eth0 .164
//	ecs-source     ecs-test       ecs-target
//	mgmt0 .230     mgmt0 .161     mgmt0 .164
//	 └──────────────┴──────────────┴───── bridge in the control plane's namespace
//	            10.99.0.0/24, management: kubelet to API server and back, pods to pods of
//	            other nodes, pods to the cloud's API
//
// The InternalIP of a node is its address on eth0, as on a cloud server. What Kubernetes
// itself sends goes over mgmt0, which is a plain veth: it neither loads the switch nor
// needs an opening in a security group, and nothing of it is ever mirrored. The API
// server reaches a kubelet by its InternalIP through a host route over mgmt0.
//
// No address of the lab is in the machine's own namespace: there the API server and the
// cloud are two ports of 127.0.0.1, forwarded by the process that holds the lab.
//
// # What it leaves on the machine
//
// Nothing, once Down has returned. What is made outside of the folder (namespaces,
// cgroups, folders to mount on, kernel settings that kubelet changes) is written down in
// /run/vpcmirror-lab before it is made, so that the next Up or Cleanup removes it when
// the process was killed. Since there are such settings, a machine has one lab at a time.
//
// It may import test/cloudsim, test/demo/process, test/e2e/lab/archive,
// test/env/checkout and test/env/pki.
package lab
