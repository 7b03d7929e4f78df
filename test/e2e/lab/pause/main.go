// Command pause is the program of the lab's sandbox image: it holds a pod's namespaces
// and waits for a signal.
//
// It may import nothing of ours.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	<-asked
}
