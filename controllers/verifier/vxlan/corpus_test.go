package vxlan_test

import "vpcmirror.io/operator/controllers/verifier/frametest"

// Offsets in a copy without tags, options or extension headers.
const atVXLAN, atInner = frametest.AtVXLAN, frametest.AtInner

var edit, inner6 = frametest.Edit, frametest.Inner6
