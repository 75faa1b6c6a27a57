// What an event costs in Go: cdrlog, and zap with its buffer, whose file has the same bytes.
//
//	bench cdrlog|zap DIRECTORY EVENTS
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	cdrlog "github.com/cdrlog/cdrlog/bindings/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Between two flushes: fewer than a queue has room for.
const burst = 10_000

var event = os.Getenv("BENCH_EVENT")

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cpu() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func ofCdrlog(directory string) (send, flush, end func()) {
	appender, err := cdrlog.Open(directory, cdrlog.SyncNever())
	must(err)
	producer, err := appender.Producer()
	must(err)
	body := []byte(event)
	send = func() { must(producer.Send(body)) }
	return send, func() { must(appender.Flush()) }, func() { must(appender.Close()) }
}

func ofZap(directory string) (send, flush, end func()) {
	must(os.MkdirAll(directory, 0o755))
	file, err := os.Create(filepath.Join(directory, "zap.log"))
	must(err)
	writer := &zapcore.BufferedWriteSyncer{WS: zapcore.AddSync(file)}
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "message"})
	logger := zap.New(zapcore.NewCore(encoder, writer, zap.InfoLevel))
	// Sync would be an fsync of the file, too.
	line := os.Getenv("BENCH_LINE")
	return func() { logger.Info(line) }, func() {}, func() { must(writer.Stop()) }
}

func main() {
	name, directory := os.Args[1], os.Args[2]
	events, err := strconv.Atoi(os.Args[3])
	must(err)
	open := map[string]func(string) (func(), func(), func()){"cdrlog": ofCdrlog, "zap": ofZap}[name]
	send, flush, end := open(directory)
	var sending time.Duration
	var cpuBegin time.Duration
	var begin time.Time
	// The first round is not counted.
	for round := -1; round < events/burst; round++ {
		if round == 0 {
			sending, cpuBegin, begin = 0, cpu(), time.Now()
		}
		roundBegin := time.Now()
		for range burst {
			send()
		}
		sending += time.Since(roundBegin)
		flush()
	}
	n := float64(events / burst * burst)
	fmt.Printf("go\t%s\t%.0f\t%.0f\t%.0f\n", name, float64(sending)/n, float64(cpu()-cpuBegin)/n, float64(time.Since(begin))/n)
	end()
}
