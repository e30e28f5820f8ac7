// influxd as InfluxDB's own main makes it, built from the published module: one command, no UI assets.
package main

import (
	"context"
	"fmt"
	"os"

	influxdb "github.com/influxdata/influxdb/v2"
	"github.com/influxdata/influxdb/v2/cmd/influxd/launcher"
	_ "github.com/influxdata/influxdb/v2/tsdb/engine/tsm1"
	_ "github.com/influxdata/influxdb/v2/tsdb/index/tsi1"
	"github.com/spf13/viper"
)

var version = "dev"

func main() {
	influxdb.SetBuildInfo(version, "none", "1970-01-01T00:00:00Z")
	command, err := launcher.NewInfluxdCommand(context.Background(), viper.New())
	if err == nil {
		command.SilenceUsage = true
		err = command.Execute()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
