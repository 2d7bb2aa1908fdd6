package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/parajwt/parajwt/paratest"
)

// newTerminal opens a pseudoterminal with this many columns (pty(7)). It
// returns its two ends.
func newTerminal(t *testing.T, columns uint16) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	control := func(request uintptr, argument unsafe.Pointer) {
		t.Helper()
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keyboard.Fd(), request, uintptr(argument))
		if errno != 0 {
			t.Fatal(errno)
		}
	}
	var locked, number int32
	control(syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	control(syscall.TIOCGPTN, unsafe.Pointer(&number))
	size := [4]uint16{24, columns}
	control(syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return keyboard, tty
}

// onTerminal runs the program with its output on a real terminal.
func onTerminal(
	t *testing.T, columns uint16, stdin io.Reader, args ...string,
) (status int, shown string) {
	t.Helper()
	screen, tty := newTerminal(t, columns)
	var out bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(&out, screen) // ends with EIO when tty is closed
	}()
	status = run(t.Context(), args, stdin, tty, tty)
	tty.Close()
	<-done
	return status, strings.ReplaceAll(out.String(), "\r\n", "\n")
}

func TestOnARealTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("NO_COLOR", "")
	para := paratest.New(t, paratest.Config{})
	late := para.Token(paratest.EmailUser(), paratest.Expired())
	args := []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID()}
	status, shown := onTerminal(t, 64, strings.NewReader(late), args...)
	if status != exitRefused || !strings.Contains(shown, "\x1b[1;31mREFUSED\x1b[0m") {
		t.Errorf("status %d\n%q", status, shown)
	}
	plain := strings.NewReplacer("\x1b[1;31m", "", "\x1b[1m", "", "\x1b[0m", "").Replace(shown)
	for line := range strings.Lines(plain) {
		if width(strings.TrimSuffix(line, "\n")) > 64 {
			t.Errorf("longer than 64 columns: %q", line)
		}
	}

	for _, variable := range []string{"NO_COLOR", "TERM"} {
		t.Setenv("NO_COLOR", "")
		t.Setenv("TERM", "xterm")
		t.Setenv(variable, "dumb")
		if _, shown := onTerminal(t, 80, strings.NewReader(late), args...); strings.Contains(
			shown, "\x1b",
		) {
			t.Errorf("%s: colors in %q", variable, shown)
		}
	}

	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) || newScreen(null).color {
		t.Error("/dev/null counts as a terminal")
	}
}

func TestATokenIsTypedOnATerminal(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	token := para.Token(paratest.EmailUser())
	keyboard, tty := newTerminal(t, 80)
	if _, err := io.WriteString(keyboard, wrap(token, 76, "\n")+"\n\n"); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"inspect"}, tty, &stdout, &stderr)
	o := outcome{status, stdout.String(), stderr.String()}
	o.has(t, exitOK, "Paste the token, then press Enter on an empty line.", paratest.UserID)
	o.hides(t, token)
}
