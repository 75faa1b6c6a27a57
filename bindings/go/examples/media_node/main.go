// The signalling of a small media server: a goroutine for each connection, an event for each join and leave.
//
//	media_node DIRECTORY SOCKET
//
// A client writes "join ROOM NAME" or "leave ROOM NAME" to the unix socket, a line each, and reads "ok" once the
// event outlives this process, or "busy" if the disk has been stalled for so long that the queue is full. SIGTERM
// ends the server; nothing that was answered is missing.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	cdrlog "github.com/cdrlog/cdrlog/bindings/go"
)

// Media must not wait for the disk: a send gives up after this.
const sendTimeout = time.Second

type event struct {
	Event         string `json:"event"`
	Timestamp     int64  `json:"timestamp"`
	SessionID     string `json:"sessionId"`
	ParticipantID string `json:"participantId"`
}

// eventOf is the event of a command; false if it is none.
func eventOf(command string) ([]byte, bool) {
	words := strings.Fields(command)
	names := map[string]string{"join": "participantJoined", "leave": "participantLeft"}
	if len(words) != 3 || names[words[0]] == "" {
		return nil, false
	}
	body, err := json.Marshal(event{names[words[0]], time.Now().UnixMilli(), words[1], words[2]})
	return body, err == nil
}

func answer(producer *cdrlog.Producer, command string) string {
	body, ok := eventOf(command)
	if !ok {
		return "unknown command\n"
	}
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	if err := producer.SendContext(ctx, body); ctx.Err() != nil {
		return "busy\n"
	} else if err != nil {
		log.Print(err)
		return "closed\n"
	}
	return "ok\n"
}

func serve(connection net.Conn, producer *cdrlog.Producer) {
	defer connection.Close()
	defer producer.Close()
	for lines := bufio.NewScanner(connection); lines.Scan(); {
		if _, err := fmt.Fprint(connection, answer(producer, lines.Text())); err != nil {
			return // the client is gone
		}
	}
}

// connections are those that are served.
type connections struct {
	mutex   sync.Mutex
	open    map[net.Conn]struct{}
	serving sync.WaitGroup
}

func (connections *connections) accept(listener net.Listener, appender *cdrlog.Appender) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return // the listener is closed
		}
		producer, err := appender.Producer()
		if err != nil {
			log.Print(err)
			connection.Close()
			continue
		}
		connections.mutex.Lock()
		connections.open[connection] = struct{}{}
		connections.mutex.Unlock()
		connections.serving.Go(func() {
			serve(connection, producer)
			connections.mutex.Lock()
			delete(connections.open, connection)
			connections.mutex.Unlock()
		})
	}
}

func (connections *connections) end() {
	connections.mutex.Lock()
	for connection := range connections.open {
		connection.Close()
	}
	connections.mutex.Unlock()
	connections.serving.Wait()
}

func run(directory, socket string) error {
	options := []cdrlog.Option{cdrlog.OnNotice(func(notice cdrlog.Notice) { log.Print(notice.Message) })}
	if inboxes := os.Getenv("CDRLOG_INBOX_DIRECTORY"); inboxes != "" {
		options = append(options, cdrlog.InboxDirectory(inboxes))
	}
	appender, err := cdrlog.Open(directory, options...)
	if err != nil {
		return err
	}
	if repaired, err := appender.Recovered(); err != nil {
		return err
	} else if repaired != "" {
		log.Print(repaired)
	}

	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM, os.Interrupt)
	connections := &connections{open: make(map[net.Conn]struct{})}
	accepting := make(chan struct{})
	go func() {
		connections.accept(listener, appender)
		close(accepting)
	}()
	fmt.Println("ready")

	<-ends
	listener.Close()
	<-accepting
	connections.end()
	if err := appender.Flush(); err != nil {
		return err
	}
	stats, err := appender.Stats()
	if err != nil {
		return err
	}
	if err := appender.Close(); err != nil {
		return err
	}
	fmt.Println(stats["events_journaled"], "lines")
	return nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: media_node DIRECTORY SOCKET")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}
