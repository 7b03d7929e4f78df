package cloud

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// Each method of the port is called on a client that only reads, above one that is nil: a write must
// end before it gets there, and a read must get there.
func TestAReadOnlyClientSendsNoWriteAndEveryRead(t *testing.T) {
	client := reflect.ValueOf(ReadOnly(nil))
	port := reflect.TypeFor[Client]()
	for i := range port.NumMethod() {
		method := port.Method(i)
		t.Run(method.Name, func(t *testing.T) {
			arguments := []reflect.Value{}
			for j := range method.Type.NumIn() {
				arguments = append(arguments, reflect.Zero(method.Type.In(j)))
			}
			refused, sent := call(client.MethodByName(method.Name), arguments)
			reads := strings.HasPrefix(method.Name, "Get") || strings.HasPrefix(method.Name, "List") ||
				strings.HasPrefix(method.Name, "Find") || method.Name == "Account"
			if sent != reads || refused == reads {
				t.Errorf("sent: %t, refused: %t, and it reads: %t", sent, refused, reads)
			}
		})
	}
}

// call reports whether a method gave ErrReadOnly, and whether it got to the client below, which is nil.
func call(method reflect.Value, arguments []reflect.Value) (refused, sent bool) {
	defer func() { sent = recover() != nil }()
	results := method.Call(arguments)
	err, _ := results[len(results)-1].Interface().(error)
	return errors.Is(err, ErrReadOnly), false
}

func TestOnlyAReadOnlyClientIsCalledSo(t *testing.T) {
	var plain Client = struct{ Client }{}
	if !IsReadOnly(ReadOnly(plain)) || IsReadOnly(plain) || ReadOnly(plain) != ReadOnly(plain) {
		t.Error("a client that only reads is not known by its type and its client")
	}
}
