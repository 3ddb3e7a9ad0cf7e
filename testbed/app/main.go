// Command app is what runs inside every image of the testbed.
//
// It answers GET / with who it is and which version, GET /healthz always, and GET /ready unless
// the environment says NOT_READY. Who it is comes from /app.json, baked into the image, so that
// another version is another image digest. Called as "pause" it only waits to be stopped, and
// buries orphans meanwhile: it is the first process of a pod sandbox and of a node's namespace.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// identity is the content of /app.json.
type identity struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Port    int    `json:"port"`
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
	if filepath.Base(os.Args[0]) == "pause" {
		pause(ctx)
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
	server := &http.Server{Addr: fmt.Sprintf(":%d", who.Port), Handler: handler(who)}
	go func() {
		<-ctx.Done()
		server.Shutdown(context.WithoutCancel(ctx))
	}()
	fmt.Printf("%s %s listens on %d\n", who.Name, who.Version, who.Port)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	fmt.Println("stopped")
	return nil
}

func handler(who answer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(who)
		fmt.Println(r.Method, r.URL.Path)
	})
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
