package node

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// clockKept tells whether something keeps the system's clock right, as the kernel knows
// it from NTP.
func clockKept() (bool, error) {
	const unsynchronised, timeError = 0x40, 5 // STA_UNSYNC, TIME_ERROR
	var t syscall.Timex                       // asks only
	state, err := syscall.Adjtimex(&t)
	return err == nil && state != timeError && t.Status&unsynchronised == 0, err
}

// machineSeconds is how long the machine's processors were idle since it started, in
// seconds of all of them together, and how long there were any; 0 if it doesn't tell.
func machineSeconds() (idle, all float64) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	return parseMachineSeconds(stat)
}

// parseMachineSeconds reads the first line of /proc/stat: cpu, then user, nice, system, idle,
// waiting for disks, interrupts, soft interrupts and stolen, in hundredths. What guests take
// comes after and is in those before.
func parseMachineSeconds(stat []byte) (idle, all float64) {
	const hundredth, fields, idleAt, waitingAt = 0.01, 8, 3, 4
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	words := bytes.Fields(line)
	if len(words) < 1+fields || string(words[0]) != "cpu" {
		return 0, 0
	}
	for i, word := range words[1 : 1+fields] {
		n, err := strconv.ParseUint(string(word), 10, 64)
		if err != nil {
			return 0, 0
		}
		took := hundredth * float64(n)
		all += took
		if i == idleAt || i == waitingAt {
			idle += took
		}
	}
	return idle, all
}
