package cloud_test

import (
	"errors"
	"fmt"
	"testing"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestOneReadThatFailsSaysNothingOfOthersUnlessNoneIsAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"there was no answer":         {&cloud.Error{Class: cloud.ClassServer}, true},
		"the cloud is asked too much": {&cloud.Error{Class: cloud.ClassThrottled, HTTPStatus: 429}, true},
		"the key is wrong":            {&cloud.Error{Class: cloud.ClassAuthentication, HTTPStatus: 401}, true},
		"there was no more time":      {errors.New("deadline exceeded"), true},
		"this call fails":             {&cloud.Error{Class: cloud.ClassServer, HTTPStatus: 500}, false},
		"this call is refused":        {&cloud.Error{Class: cloud.ClassInvalid, HTTPStatus: 400}, false},
		"this list is too long":       {&cloud.Error{Class: cloud.ClassServer, Unlisted: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cloud.IsSilence(fmt.Errorf("read: %w", c.err)); got != c.want {
				t.Errorf("it is %t, want %t", got, c.want)
			}
		})
	}
}
