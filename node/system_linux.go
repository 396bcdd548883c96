package node

import "syscall"

// clockKept tells whether something keeps the system's clock right, as the kernel knows
// it from NTP.
func clockKept() (bool, error) {
	const unsynchronised, timeError = 0x40, 5 // STA_UNSYNC, TIME_ERROR
	var t syscall.Timex                       // asks only
	state, err := syscall.Adjtimex(&t)
	return err == nil && state != timeError && t.Status&unsynchronised == 0, err
}
