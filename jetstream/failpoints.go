package jetstream

// Failpoints are the places between two steps of the data's way, each as
// part.step, in the order in which a command meets them; below them what a start
// and a stop do. A program built with -tags failpoints kills itself there,
// as kill -9 would, when the environment says so:
//
//	NATTER_FAILPOINT=commit.published:3    the third time this point is passed
//
// Built so, a node also keeps checkpoints and cursors more often and goes back less
// far (see hasten), so that a test of a minute begins in the middle of a log.
// Without the tag a point is an empty function, and the variable is refused as a
// setting that doesn't exist. TestFailpoints holds this list to the source; fault's
// TestKilledBetweenAnyTwoSteps, -WhileStopping, -WhileRepairing and -WhileGrowing kill
// a node at each of them.
var Failpoints = []string{
	// The committer, up to the answer.
	"commit.gathered",     // a batch is off the queue and nowhere else
	"commit.published",    // it is on its way to the log
	"commit.acknowledged", // the log has it on disk, nobody has been told
	"commit.answered",     // one of its senders has been told, the next one hasn't

	// The projector; write.… are the messages of a take, one by one.
	"project.read",         // a batch was read from the log
	"project.gathered",     // a take is gathered
	"project.loaded",       // its rooms and marks are in memory
	"project.applied",      // the rules have been applied, nothing is written
	"project.landed",       // the take before is written
	"write.record",         // a room's record is sent, its page and entry aren't
	"write.page",           // a page is sent, the entry that leads to it isn't
	"write.entry",          // a room's entry is sent
	"write.mark",           // a mark is sent
	"write.queue",          // a user's entry is sent
	"project.published",    // all of the take is sent
	"project.acknowledged", // all of it is written, nobody has been told
	"project.answered",     // its results are out, its checkpoint isn't due yet
	"project.finished",     // a checkpoint may pass it
	"checkpoint.due",       // a checkpoint is made
	"checkpoint.window",    // some of the client_ids it speaks of are written
	"checkpoint.written",   // and written

	// Sealing.
	"seal.cut",     // full pages are off the tail and nowhere else
	"seal.reached", // a sealed page was read to be amended
	"seal.amended", // it is amended in memory

	// The teller.
	"tell.begun", // it has said that everybody must look
	"tell.read",  // an entry is in a queue, nobody has been told
	"tell.told",  // and told

	// Cursors and records.
	"cursor.gathered",  // cursors are taken to be written
	"cursor.published", // one is sent, the next one isn't
	"cursor.written",   // one is written
	"record.asked",     // a record is about to be written
	"record.written",   // it is, and who wrote it doesn't know

	// A start, in order. Where the last stop was in order, the survey is short.
	"start.stream",   // a stream is made or brought up to date
	"epoch.measured", // the queues' ends are known, the epoch isn't stored
	"epoch.stored",   // it is
	"survey.log",     // where a partition begins is chosen
	"mend.found",     // a hole was found
	"mend.deleted",   // one message behind it is deleted, others aren't
	"mend.emptied",   // all of them are, and no note says so
	"mend.noted",     // the note says so
	"survey.again",   // where a partition begins again is noted
	"survey.history", // what survived of a history is known
	"survey.queues",  // what survived of a queue stream is known
	"window.read",    // the window of client_ids is as it was
	"replay.caught",  // a partition has caught up with its log

	// A stop.
	"close.refused",  // no more commands are taken
	"close.finished", // a partition is projected, its last checkpoint isn't kept
	"close.kept",     // it is
	"close.cursors",  // the cursors are written
	"close.seen",     // and when people were last here, connections still open

	// A repair.
	"repair.looked",  // what is wrong is known
	"repair.deleted", // one record that can't be read is gone
	"repair.purged",  // a stream is purged
	"repair.written", // one record is written
	"repair.kept",    // the new checkpoints stand before the old ones, which aren't purged

	// A growth into a cluster.
	"grow.removed", // one stream that an earlier one left is gone
	"grow.asked",   // the old stream was asked for, the new one is not begun
	"grow.chunk",   // a piece of it is there
	"grow.passed",  // all of it is, and isn't opened
	"grow.copied",  // it is open
	"grow.settled", // every member has everything
	"grow.marked",  // the old store is marked, the cluster isn't founded
	"grow.founded", // it is, and who founded it doesn't know
}
