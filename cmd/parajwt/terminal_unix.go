//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"os"
	"syscall"
	"unsafe"
)

// terminalColumns returns the width of a terminal, or 0 if it is unknown, and
// whether f is a terminal (TIOCGWINSZ of tty_ioctl(4)).
func terminalColumns(f *os.File) (columns int, terminal bool) {
	var size struct{ rows, columns, x, y uint16 }
	_, _, errno := syscall.Syscall(
		syscall.SYS_IOCTL, f.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)),
	)
	return int(size.columns), errno == 0
}
