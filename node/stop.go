package node

import (
	"context"
	"errors"
	"time"
)

// Stop stops the node in order: clients first, the disk last. What is under way
// has until ctx ends, then it is cut off; nothing that was acknowledged is lost
// either way. An error says what couldn't be done in order. Stop again waits
// for the first one and answers the same.
func (n *Node) Stop(ctx context.Context) error {
	n.stopOnce.Do(func() {
		n.log.Info("the node is stopping")
		begun := time.Now()
		n.stopErr = n.stop(ctx)
		if n.stopErr != nil {
			n.log.Warn("the stop was not in order; the next start makes again what it left", "err", n.stopErr)
		}
		n.log.Info("the node has stopped", "took_ms", time.Since(begun).Milliseconds())
		n.end()
	})
	return n.stopErr
}

func (n *Node) stop(ctx context.Context) error {
	n.stopping.Store(true)
	close(n.quit)
	n.announce(ctx) // that it drains
	var cut, failed error
	if n.edge != nil {
		n.stage.is("telling clients to move")
		leaving, cancel := partOf(ctx)
		through := make(chan struct{})
		n.serving.Go(func() { n.listener.hush(through) })
		cut = n.edge.Shutdown(leaving) // clients that were cut off cost no data
		close(through)
		cancel()
	}
	if n.listener != nil {
		_ = n.listener.Close() // the edge has closed it already, if it served
	}
	if n.member != nil {
		n.stage.is("handing over what it leads")
	} else {
		n.stage.is("finishing what was taken")
	}
	failed = n.closeOpened(ctx)
	n.words.close()
	if n.nats != nil {
		n.stage.is("stopping NATS")
		n.nats.shutdown()
		if failed == nil && n.nats.log.broken.Load() {
			// Projections are acknowledged before they are written: what looks
			// finished may be gone.
			failed = errors.New("a write to the disk failed")
		}
	}
	n.closeAdmin()
	n.serving.Wait()
	if n.data != nil {
		if failed == nil {
			n.stage.is("writing everything to the disk")
			failed = n.data.stopped()
		}
		failed = errors.Join(failed, n.data.close())
	}
	return errors.Join(cut, failed)
}

// closeOpened closes what open opens but the edge.
func (n *Node) closeOpened(ctx context.Context) (err error) {
	if n.ids != nil {
		// Without it the next start waits a moment, nothing worse.
		// The last member of a cluster to stop has no majority to store it with.
		giving, cancel := context.WithTimeout(ctx, giveBackWithin)
		err := n.ids.close(giving)
		cancel()
		if err != nil {
			n.log.Warn("the rest of the ids' lease is not given back", "err", err)
		}
	}
	if n.accounts != nil {
		n.accounts.Close()
	}
	if n.contacts != nil {
		n.contacts.Close()
	}
	if n.store != nil {
		n.part(ctx)
		err = n.store.Close(ctx)
	}
	return err
}

// giveBackWithin bounds giving back the rest of the ids' lease.
const giveBackWithin = 2 * time.Second

// closeParts takes back an open that failed.
func (n *Node) closeParts() {
	ctx, cancel := context.WithTimeout(context.Background(), abandonWithin)
	defer cancel()
	if err := n.closeOpened(ctx); err != nil {
		n.log.Debug("what was opened is not closed in order", "err", err)
	}
	n.numbers.Store(nil)
	n.peers, n.lease, n.roster, n.clocks, n.majority, n.assents = nil, nil, nil, nil, nil, nil
	n.ids, n.accounts, n.contacts, n.store = nil, nil, nil, nil
}

// partOf is the clients' share of the time to stop, so that slow ones don't
// leave the store without any.
func partOf(ctx context.Context) (context.Context, context.CancelFunc) {
	const share = 0.6
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(share*float64(time.Until(deadline))))
}

// abandonWithin bounds the way back from a start that failed.
const abandonWithin = 10 * time.Second

// abandon takes apart what a failed start has put together. Unless all of it
// had been opened the mark stays, if it was there: the next start looks closely.
func (n *Node) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), abandonWithin)
	defer cancel()
	if n.data == nil {
		return
	}
	if n.early != nil {
		n.early.end()
	}
	if n.store == nil {
		n.stopErr = n.closeEarly()
	} else {
		n.stopErr = n.stop(ctx)
	}
	if n.stopErr != nil {
		n.log.Warn("the start was not taken back in order", "err", n.stopErr)
	}
	n.end()
}

// end tells whoever waits that the node has stopped, and how.
func (n *Node) end() {
	close(n.ended)
	n.endDrains()
}

// closeEarly is stop for a node without a store.
func (n *Node) closeEarly() (err error) {
	n.stopping.Store(true)
	close(n.quit)
	if n.listener != nil {
		_ = n.listener.Close()
	}
	n.closeAdmin()
	n.words.close()
	if n.nats != nil {
		n.nats.shutdown()
	}
	n.serving.Wait()
	// A node that waited for the others and was told to stop has left nothing
	// unfinished.
	if n.marked && n.data.clean && !n.opened && (n.nats == nil || !n.nats.log.broken.Load()) {
		err = n.data.stopped()
	}
	return errors.Join(err, n.data.close())
}
