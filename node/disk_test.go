package node

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"natter/chat"
)

// TestAFailedWriteHoldsTheNode: when NATS has given a stream up the node takes no
// commands, says so, and asks to be started anew as soon as the disk takes writes;
// and its stop is none in order, whatever it looks like, because projections are
// acknowledged before they are written.
func TestAFailedWriteHoldsTheNode(t *testing.T) {
	c := settings(t, t.TempDir())
	n, err := Start(t.Context(), c, quiet(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	n.nats.log.Errorf("JetStream failed to store a msg on stream '%s > %s': %v", "NATTER", "SYNC-0", errors.New("no space left on device"))
	failed := make(chan error, 1)
	go func() { failed <- n.Wait() }()
	select {
	case err := <-failed:
		if !errors.Is(err, ErrAgain) {
			t.Errorf("Wait: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the node does not ask to be started anew")
	}
	if err := n.store.Ready(); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("the store is ready: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err == nil {
		t.Error("the stop is called one in order")
	}
	d, err := openDirectory(c.Data, identity{Name: c.Name, Partitions: c.Partitions}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if d.clean {
		t.Error("the next start trusts what is on the disk")
	}
	if _, err := os.Stat(d.file("try")); err == nil {
		t.Error("the try is left behind")
	}
}

// TestAStartOverAFailedWriteIsGivenUp: a stream that NATS gave up while the node was
// starting is never waited for; the start begins again when the disk takes writes.
func TestAStartOverAFailedWriteIsGivenUp(t *testing.T) {
	n := &Node{data: &directory{path: t.TempDir()}, nats: &natsServer{log: &natsLog{}}}
	ctx, end := n.whileDiskWorks(t.Context())
	n.nats.log.broken.Store(true)
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), ErrAgain) {
		t.Errorf("the start ended with %v", context.Cause(ctx))
	}
	end()
	n.serving.Wait()

	n.nats.log.broken.Store(false)
	ctx, end = n.whileDiskWorks(t.Context())
	end()
	n.serving.Wait()
	if errors.Is(context.Cause(ctx), ErrAgain) {
		t.Error("a start that went well ended")
	}
}
