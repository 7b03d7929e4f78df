package diagnosis

import (
	"fmt"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// maxPacketLength is the largest packet_length that the cloud takes (API reference,
	// CreateTrafficMirrorSession).
	maxPacketLength = 1460
	// ethernetHeader is what of that the inner Ethernet header takes.
	ethernetHeader = 14
)

// payloadTruncated: more than a few in a hundred of the copies are shorter than their own IP
// header says. An IDS throws such packets away: Suricata does not look into an IP packet that is
// shorter than its header says. Of what came in a tunnel 7.0.10 counts that in no event, not in
// decoder.event.ipv4.trunc_pkt either: they are the inner IP packets without those that it
// decoded further. By the counts of the last minutes: of all sources together, else of each.
func payloadTruncated(k *Known) []v1alpha1.Finding {
	if k.happened(v1alpha1.ReasonPayloadTruncated, "") {
		return []v1alpha1.Finding{cut(k, "", "")}
	}
	var all []v1alpha1.Finding
	for _, source := range k.Session.Status.Sources {
		if k.happened(v1alpha1.ReasonPayloadTruncated, source.InterfaceID) {
			all = append(all, cut(k, sourceName(source), " from "+sourceName(source)))
		}
	}
	return all
}

func cut(k *Known, subject, from string) v1alpha1.Finding {
	length := int32(maxPacketLength)
	if k.Session.Spec.PacketLength != nil {
		length = *k.Session.Spec.PacketLength
	}
	f := warning(v1alpha1.DecidedByCount, v1alpha1.ReasonPayloadTruncated, subject, fmt.Sprintf(
		"more than %d in 100 copies%s are cut: spec.packetLength is %d, and an IDS does not look into a packet that it can't read whole",
		fewInAHundred, from, length))
	f.Remedy = fmt.Sprintf("raise spec.packetLength, up to %d", maxPacketLength)
	if length >= maxPacketLength {
		f.Remedy = fmt.Sprintf("frames longer than %d bytes never fit a copy: lower the MTU of the sources to %d, or clamp the MSS of their connections",
			maxPacketLength, maxPacketLength-ethernetHeader)
	}
	return f
}
