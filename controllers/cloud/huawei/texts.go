package huawei

import "vpcmirror.io/operator/controllers/cloud"

// texts keeps once what many objects of a list have in common: a list of all interfaces is kept for as long as
// it serves, and half of its texts are of a few VPCs, subnets and groups. The zero value can't be used.
type texts map[string]string

func (t texts) share(all ...*string) {
	for _, text := range all {
		if known, ok := t[*text]; ok {
			*text = known
		} else {
			t[*text] = *text
		}
	}
}

func shareTextsOfInterfaces(all []cloud.Interface) {
	common := texts{}
	for i := range all {
		common.share(&all[i].VPCID, &all[i].SubnetID, &all[i].Status, &all[i].Flavor)
		for g := range all[i].SecurityGroups {
			common.share(&all[i].SecurityGroups[g])
		}
	}
}

func shareTextsOfServers(all []cloud.Server) {
	common := texts{}
	for i := range all {
		common.share(&all[i].Status, &all[i].Flavor)
	}
}

func shareTextsOfSessions(all []cloud.Session) {
	common := texts{}
	for i := range all {
		common.share(&all[i].FilterID, &all[i].TargetID)
	}
}
