package jetstream

import (
	"hash/fnv"
	"strconv"
	"strings"

	"natter/chat"
)

// Streams, their subjects and the partition of a name. The partition is FNV-1a
// of the id, modulo P; P is fixed when the store is created.

const (
	streamLog        = "LOG-"
	streamHistory    = "HISTORY-"
	streamSync       = "SYNC-"
	streamMarks      = "MARKS-"
	streamCheckpoint = "CHECKPOINTS"
	streamRecords    = "RECORDS"
)

func numbered(prefix string, p int) string { return prefix + strconv.Itoa(p) }

func partitionOf(id string, partitions int) int {
	h := fnv.New32a()
	h.Write([]byte(id))
	return int(h.Sum32() % uint32(partitions))
}

func (s *Store) roomPartition(id chat.RoomID) int { return partitionOf(string(id), s.o.Partitions) }
func (s *Store) userPartition(id chat.UserID) int { return partitionOf(string(id), s.o.Partitions) }

// partitionOfCommand: a room's by its room, a person's own matter by the person.
func (s *Store) partitionOfCommand(c *chat.Command) int {
	if c.Room != "" {
		return s.roomPartition(c.Room)
	}
	return s.userPartition(c.By)
}

func subjectLog(p int) string                     { return "log." + strconv.Itoa(p) }
func subjectMessages(p int, r chat.RoomID) string { return "msg." + strconv.Itoa(p) + "." + string(r) }
func subjectRoom(p int, r chat.RoomID) string     { return "room." + strconv.Itoa(p) + "." + string(r) }
func subjectPage(p int, r chat.RoomID, k uint64) string {
	return "page." + strconv.Itoa(p) + "." + string(r) + "." + strconv.FormatUint(k, 10)
}
func subjectSync(q int, u chat.UserID) string { return "sync." + strconv.Itoa(q) + "." + string(u) }
func subjectMark(p int, u chat.UserID, r chat.RoomID) string {
	return "mark." + strconv.Itoa(p) + "." + string(u) + "." + string(r)
}
func subjectDraft(p int, u chat.UserID, r chat.RoomID) string {
	return "draft." + strconv.Itoa(p) + "." + string(u) + "." + string(r)
}
func subjectWindow(p int) string         { return "window." + strconv.Itoa(p) }
func isWindow(subject string) bool       { return strings.HasPrefix(subject, "window.") }
func subjectCheckpoint(p int) string     { return "checkpoint." + strconv.Itoa(p) }
func subjectLive(u chat.UserID) string   { return "live." + string(u) }
func subjectNews(u chat.UserID) string   { return "news." + string(u) }
func subjectResult(origin string) string { return "result." + origin }

const (
	// subjectTellAll asks every node to look at the queues of one stream it follows.
	subjectTellAll = "tell.all"
	// subjectBeat is where projectors tell every node how far they are.
	subjectBeat = "beat"
)
