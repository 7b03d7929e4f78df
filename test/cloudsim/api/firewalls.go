package api

import "net/http"

// listFirewalls is always empty: no subnet of the simulated cloud has a network ACL.
func listFirewalls(*call) response {
	return response{status: http.StatusOK, body: map[string]any{"firewalls": []any{}, "page_info": map[string]any{"current_count": 0}}}
}

func showFirewall(c *call) response {
	return *gatewayError(http.StatusNotFound, "VPC.9904", "Firewall "+c.params["id"]+" could not be found.")
}
