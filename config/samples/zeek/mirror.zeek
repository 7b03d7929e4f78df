# Zeek on the node that owns the mirror's target. It takes off VXLAN at UDP 4789 by itself; each connection in conn.log
# has the uid of its tunnel in tunnel_parents.

@load policy/misc/stats
@load policy/misc/capture-loss
@load policy/misc/weird-stats

# Where the copies go to another port, this one has to know it:
# redef PacketAnalyzer::VXLAN::vxlan_ports += { 8472/udp };

# A copy may be made before the card has computed the checksums of what a source sends.
redef ignore_checksums = T;

# The packets that may wait in the ring, in bytes: raise it where pkts_dropped in stats.log grows.
redef AF_Packet::buffer_size = 128 * 1024 * 1024;

redef Stats::report_interval = 1min;
redef LogAscii::use_json = T;
redef Log::default_rotation_interval = 1hr;
