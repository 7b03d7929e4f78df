// Package huawei is the adapter from the port [cloud.Client] to Huawei Cloud, over
// its Go SDK: VPC API v3; v1 and v2 for peerings, route tables, and the interfaces of
// regions that lack v3 ports; ECS API v1 for servers and flavors.
//
// What the SDK leaves open is closed here, in one place, [caller.do]: every call is
// bound to its context and to a deadline, waits for the limiter of its account, has
// its answer read up to a limit before the SDK sees it, is classed by one table, and
// is counted. Nothing is sent twice.
//
// It may import controllers/cloud and controllers/fairqueue.
package huawei
