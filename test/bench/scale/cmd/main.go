// Command cmd measures the manager alone: see package scale. It may import test/bench/result,
// test/bench/scale and test/env/interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"vpcmirror.io/operator/test/bench/result"
	"vpcmirror.io/operator/test/bench/scale"
	"vpcmirror.io/operator/test/env/interrupt"
)

func main() {
	o := scale.Options{}
	flag.StringVar(&o.Programs, "programs", "bin", "the folder of the programs")
	flag.BoolVar(&o.Quick, "quick", false, "what takes a minute, and its counts alone decide")
	flag.BoolVar(&o.Others, "others", false, "no sizes: at the default limit of calls, and among many nodes, alone")
	flag.Func("sizes", "numbers of sessions, such as 200,2000", func(text string) error {
		for size := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(size)
			if err != nil {
				return err
			}
			o.Sizes = append(o.Sizes, n)
		}
		return nil
	})
	flag.Parse()
	ctx, stop := interrupt.Context(context.Background())
	rows, err := scale.Run(ctx, o, os.Stdout)
	stop()
	err = errors.Join(err, result.Print(os.Stdout, rows), result.Err(rows, o.Quick))
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}
