//go:build !failpoints

package jetstream

// hasten divides the times between two checkpoints, back to one, and between two
// writes of the cursors.
const hasten = 1

// failpoint marks a place between two steps; see Failpoints.
func failpoint(string) {}

// failpointSent marks that a message of a take was sent.
func failpointSent(any) {}
