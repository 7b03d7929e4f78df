package compare

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// ErrorOf finds code and message in the body of an error: the pair of the gateway, that of older calls, or the words of
// OpenStack, which have a type instead of a code. A body that is none of these is the message.
func ErrorOf(body []byte) (code, message string) {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return "", clip(string(body))
	}
	for _, pair := range [][2]string{{"error_code", "error_msg"}, {"code", "message"}} {
		if code, is := fields[pair[0]].(string); is {
			message, _ := fields[pair[1]].(string)
			return code, clip(message)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if object, is := fields[key].(map[string]any); is {
			kind, _ := object["type"].(string)
			if c, has := object["code"].(string); has {
				kind = c
			}
			message, _ := object["message"].(string)
			return kind, clip(message)
		}
	}
	return "", clip(string(body))
}

// clip bounds a text of the cloud's.
func clip(text string) string {
	const most = 500
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
