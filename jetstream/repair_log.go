package jetstream

import (
	"context"
	"fmt"

	"natter/chat"
)

// moves are the commands that make messages or change records. The others can be
// left out, and a room's state is then as small as its record.
var moves = map[chat.CommandOp]bool{
	chat.OpSend: true, chat.OpDirect: true, chat.OpCreate: true, chat.OpChange: true,
	chat.OpAdd: true, chat.OpRemove: true, chat.OpRole: true, chat.OpClose: true,
}

// eachCommand calls do with every command of a partition's log, in order, and
// tells whether all of it could be read.
func (x *inspection) eachCommand(ctx context.Context, p int, do func(log uint64, c *chat.Command)) (whole bool, err error) {
	stream, whole := numbered(streamLog, p), true
	err = x.read(ctx, stream, func(m stored) {
		var b batch
		if err := decode(m.Data, &b); err != nil {
			whole = false
			x.unreadable(stream, m, err, false)
		}
		for i := range b.Commands {
			if whole { // behind a batch that is lost nothing can be told
				do(m.Sequence, &b.Commands[i])
			}
		}
	})
	return whole, err
}

// lookLog applies a partition's log and compares what comes of it with history.
func (x *inspection) lookLog(ctx context.Context, p int) error {
	window := chat.NewWindow()
	whole, err := x.eachCommand(ctx, p, func(log uint64, c *chat.Command) {
		x.logs[p].at = max(x.logs[p].at, c.At)
		if c.Op == chat.OpTell {
			out := chat.Tell(c)
			x.tell(p, log, c, &out)
			return
		}
		r := x.room(p, c.Room)
		if !moves[c.Op] || r.odd || log <= r.beginUpto {
			return
		}
		if r.applied == nil {
			r.applied = r.atBegin()
		}
		out := r.applied.Apply(c, window)
		r.applied.Tail = nil
		x.tell(p, log, c, &out)
		for i := range out.Messages {
			x.compare(ctx, r, log, c, &out.Messages[i])
		}
	})
	for _, r := range x.rooms {
		switch {
		case r.partition != p:
		case !whole:
			r.odd = true
		case r.applied != nil && !r.odd && r.last > r.applied.Last:
			r.odd = true
			x.find(Finding{numbered(streamHistory, p), subjectMessages(p, r.id), 0,
				fmt.Sprintf("goes on to message %d, the log only to %d", r.last, r.applied.Last), false})
		}
	}
	return err
}

// atBegin is the room as the log goes on with it.
func (r *roomSeen) atBegin() *chat.RoomState {
	state := chat.NewRoomState(r.begin, r.beginLast)
	state.Room.ID = r.id
	return state
}

// tell notes whose queues must have something of a command.
func (x *inspection) tell(p int, log uint64, c *chat.Command, out *chat.Outcome) {
	for i := range out.Events {
		for _, u := range out.Events[i].To {
			x.logs[p].told[u] = told{log, c.At}
		}
	}
}

// compare holds a message that the log comes to against the entries.
func (x *inspection) compare(ctx context.Context, r *roomSeen, log uint64, c *chat.Command, m *chat.Message) {
	var held messageSeen
	if int(m.Seq) <= len(r.messages) {
		held = r.messages[m.Seq-1]
	}
	switch {
	case held.sum != 0 && held.id == m.ID:
		return
	case x.retried(ctx, r, c):
		r.applied.Last--
	case held.sum == 0:
		r.lack(m.Seq).log = true
	default:
		r.odd = true
		x.find(Finding{numbered(streamHistory, r.partition), subjectMessages(r.partition, r.id), 0,
			fmt.Sprintf("message %d is %d, by the log at %d it is %d", m.Seq, held.id, log, m.ID), false})
	}
}

// retried tells whether a send was of a message that is older than what the log
// still holds.
func (x *inspection) retried(ctx context.Context, r *roomSeen, c *chat.Command) bool {
	if c.Op != chat.OpSend || x.logs[r.partition].first <= 1 {
		return false
	}
	first, err := history{x.s}.Find(ctx, r.id, c.By, c.ClientID, 0)
	return err == nil && first != nil && first.ID != c.ID
}

// restored applies the log in full to the rooms that want it, and returns them
// with every message since they began.
func (x *inspection) restored(ctx context.Context, want map[chat.RoomID]*roomSeen) (map[chat.RoomID]*chat.RoomState, error) {
	states := map[chat.RoomID]*chat.RoomState{}
	partitions := map[int]bool{}
	for _, r := range want {
		partitions[r.partition] = true
	}
	for p := range partitions {
		window := chat.NewWindow()
		_, err := x.eachCommand(ctx, p, func(log uint64, c *chat.Command) {
			r := want[c.Room]
			if r == nil || log <= r.beginUpto || c.Op == chat.OpTell {
				return
			}
			state := states[c.Room]
			if state == nil {
				state = r.atBegin()
				states[c.Room] = state
				for i := range state.Room.Members {
					m := &state.Room.Members[i]
					mark := x.marks[markKey{m.User, r.id}].mark
					m.Read, m.Muted = max(m.ReadFrom(), min(mark.Read, r.beginLast)), mark.Muted
				}
			}
			if out := state.Apply(c, window); len(out.Messages) > 0 && moves[c.Op] && x.retried(ctx, r, c) {
				state.Last--
				state.Tail = state.Tail[:len(state.Tail)-1]
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return states, nil
}
