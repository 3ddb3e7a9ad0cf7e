// Command app is what runs inside every image of the testbed.
//
// It answers GET / with who it is and which version, GET /healthz always, and GET /ready unless
// the environment says NOT_READY; over gRPC it says of itself that it is healthy. Who it is, and
// on which ports it listens, comes from /app.json, baked into the image, so that another version is
// another image digest. Called as "pause" it only waits to be stopped, and buries orphans meanwhile:
// it is the first process of a pod sandbox and of a node's namespace. Called as "sh" it succeeds at
// once, whatever the script: so init containers of applications that no one here wrote end well.
//
// POST / is work: it takes 50 ms, or as long as the header X-Work says, and its body is written down in the
// file $ACCOUNT/<host name> before the answer is sent, so that both sides can account for each request. How many
// it works on, GET /metrics tells as app_requests_in_flight.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// identity is the content of /app.json.
type identity struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Port    int    `json:"port"`
	Ports   []int  `json:"ports,omitempty"`
}

// answer is what GET / says; Started tells one process from the next.
type answer struct {
	identity
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch filepath.Base(os.Args[0]) {
	case "pause":
		pause(ctx)
		return
	case "sh":
		return
	}
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

// pause waits to be stopped and reaps the children that it inherits as process 1.
func pause(ctx context.Context) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	for {
		select {
		case <-ctx.Done():
			return
		case <-died:
			for {
				if pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 {
					break
				}
			}
		}
	}
}

func serve(ctx context.Context) error {
	who, err := readIdentity()
	if err != nil {
		return err
	}
	ended := make(chan error)
	ports := append([]int{who.Port}, who.Ports...)
	for _, port := range ports {
		go func() { ended <- listen(ctx, port, handler(who)) }()
	}
	fmt.Printf("%s %s listens on %v\n", who.Name, who.Version, ports)
	for range ports {
		if err := <-ended; err != nil {
			return err
		}
	}
	fmt.Println("stopped")
	return nil
}

// listen serves HTTP/1 and, for gRPC, HTTP/2 in clear text until ctx ends.
func listen(ctx context.Context, port int, handler http.Handler) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: fmt.Sprintf(":%d", port), Handler: handler, Protocols: protocols}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stopped <- server.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func handler(who answer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(who)
		fmt.Println(r.Method, r.URL.Path)
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		inFlight.Add(1)
		defer inFlight.Add(-1)
		work(w, r, who)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE app_requests_in_flight gauge\napp_requests_in_flight %d\n", inFlight.Load())
	})
	mux.HandleFunc("POST /grpc.health.v1.Health/Check", serving)
	mux.HandleFunc("GET /healthz", say)
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		if os.Getenv("NOT_READY") != "" {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		say(w, r)
	})
	return mux
}

// inFlight counts the requests that are worked on.
var inFlight atomic.Int64

// work does what a request asks for, writes it down, and says who did it.
func work(w http.ResponseWriter, r *http.Request, who answer) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return
	}
	length := 50 * time.Millisecond
	if asked, err := time.ParseDuration(r.Header.Get("X-Work")); err == nil {
		length = asked
	}
	time.Sleep(length)
	if err := writeDown(who.Host, fmt.Sprintf("%s %s\n", body, who.Version)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(who)
}

// writeDown appends a line to this host's account; a line is one write, so none is torn.
func writeDown(host, line string) error {
	folder := os.Getenv("ACCOUNT")
	if folder == "" {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(folder, host), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(line)
	return err
}

// serving answers a gRPC health check with SERVING: a frame of no compression and two bytes, which
// are field 1 of the response with the value 1. The status follows as a trailer.
func serving(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	w.Write([]byte{0, 0, 0, 0, 2, 0x08, 0x01})
	w.Header().Set("Grpc-Status", "0")
}

func say(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

func readIdentity() (answer, error) {
	who := answer{Started: time.Now()}
	content, err := os.ReadFile("/app.json")
	if err != nil {
		return who, err
	}
	if err := json.Unmarshal(content, &who.identity); err != nil {
		return who, fmt.Errorf("/app.json: %w", err)
	}
	who.Host, err = os.Hostname()
	return who, err
}
