//go:build chromium

package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// browser is a headless Chromium, driven over WebDriver
// (https://www.w3.org/TR/webdriver2/), which is JSON over HTTP.
type browser struct {
	t       *testing.T
	session string // its URL
}

// newBrowser starts chromedriver, which starts Chromium. Both end with the
// test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	dir, err := os.MkdirTemp("", "parajwt-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	driver := exec.Command(
		"chromedriver", "--port=0",
	) // t.Context ends before Chromium is shut down
	driver.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	out, err := driver.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := driver.Start(); err != nil {
		t.Fatalf("%v (apt-get install chromium chromium-driver)", err)
	}
	t.Cleanup(func() {
		driver.Process.Kill()
		driver.Wait()
		os.RemoveAll(dir) // may fail, because a browser may still be writing
	})
	var port string
	lines := bufio.NewScanner(out)
	for port == "" && lines.Scan() {
		started := regexp.MustCompile(`started successfully on port (\d+)`)
		if m := started.FindStringSubmatch(lines.Text()); m != nil {
			port = m[1]
		}
	}
	if port == "" {
		t.Fatal("chromedriver did not print its port")
	}
	go io.Copy(io.Discard, out)

	b := &browser{t: t, session: "http://127.0.0.1:" + port + "/session"}
	var made struct{ SessionID string }
	b.call("POST", "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName":             "chrome",
		"goog:loggingPrefs":       map[string]string{"browser": "ALL"},
		"unhandledPromptBehavior": "dismiss",
		"goog:chromeOptions": map[string]any{"args": []string{
			"--headless=new",
			"--no-sandbox", // root in a container needs it; the browser uses loopback only
			"--disable-dev-shm-usage", "--window-size=1280,900", "--lang=en-GB",
		}},
	}}}, &made)
	b.session += "/" + made.SessionID
	t.Cleanup(func() {
		b.call("DELETE", "", nil, nil)
		// chromedriver responds after it has ended the browser and removed its
		// profile.
		if res, err := http.Get("http://127.0.0.1:" + port + "/shutdown"); err == nil {
			res.Body.Close()
			driver.Wait()
		}
	})
	return b
}

// call makes one WebDriver request.
func (b *browser) call(method, path string, body, into any) {
	b.t.Helper()
	var send io.Reader
	if method == "POST" {
		if body == nil {
			body = struct{}{}
		}
		text, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		send = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, b.session+path, send)
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		b.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		b.t.Fatalf("WebDriver %s %s: %s", method, path, answer.Value)
	}
	if into != nil {
		if err := json.Unmarshal(answer.Value, into); err != nil {
			b.t.Fatalf("WebDriver %s %s: %v: %s", method, path, err, answer.Value)
		}
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.call("POST", "/url", map[string]string{"url": url}, nil)
}

// element is an element reference of the protocol.
type element map[string]string

func (e element) id() string {
	for _, id := range e {
		return id
	}
	return ""
}

func (b *browser) find(css string) element {
	b.t.Helper()
	var e element
	b.call("POST", "/element", map[string]string{"using": "css selector", "value": css}, &e)
	return e
}

func (b *browser) all(css string) (found []element) {
	b.t.Helper()
	b.call("POST", "/elements", map[string]string{"using": "css selector", "value": css}, &found)
	return found
}

// click clicks like a user. It fails if another element covers this one.
func (b *browser) click(css string) {
	b.t.Helper()
	b.call("POST", "/element/"+b.find(css).id()+"/click", nil, nil)
}

// text returns the visible text of an element.
func (b *browser) text(css string) (text string) {
	b.t.Helper()
	b.call("GET", "/element/"+b.find(css).id()+"/text", nil, &text)
	return text
}

// label returns the accessible name of an element, which a screen reader reads.
func (b *browser) label(e element) (label string) {
	b.t.Helper()
	b.call("GET", "/element/"+e.id()+"/computedlabel", nil, &label)
	return label
}

func (b *browser) write(css, text string) {
	b.t.Helper()
	path := "/element/" + b.find(css).id()
	b.call("POST", path+"/clear", nil, nil)
	b.call("POST", path+"/value", map[string]string{"text": text}, nil)
}

// keys presses keys one after another, in the focused element.
func (b *browser) keys(keys ...string) {
	b.t.Helper()
	var presses []map[string]string
	for _, k := range keys {
		presses = append(
			presses, map[string]string{"type": "keyDown", "value": k},
			map[string]string{"type": "keyUp", "value": k},
		)
	}
	b.call("POST", "/actions", map[string]any{"actions": []any{
		map[string]any{"type": "key", "id": "keyboard", "actions": presses},
	}}, nil)
}

// The key codes of WebDriver §17.4.2.
const (
	tab   = "\ue004"
	down  = "\ue015"
	enter = "\ue007"
)

// eval runs a function's body in the page. It waits for a returned promise.
func (b *browser) eval(body string, into any) {
	b.t.Helper()
	b.call("POST", "/execute/sync", map[string]any{"script": body, "args": []any{}}, into)
}

// emulate sets the color scheme and the size of the screen.
func (b *browser) emulate(scheme string, width, height int, phone bool) {
	b.t.Helper()
	b.devtools("Emulation.setEmulatedMedia", map[string]any{"features": []any{
		map[string]string{"name": "prefers-color-scheme", "value": scheme},
	}})
	b.devtools("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone,
	})
}

func (b *browser) devtools(command string, params any) {
	b.t.Helper()
	b.call("POST", "/goog/cdp/execute", map[string]any{"cmd": command, "params": params}, nil)
}

// complaints returns the messages of the console, including policy violations
// and failed requests.
func (b *browser) complaints() (messages []string) {
	b.t.Helper()
	var lines []struct{ Level, Message string }
	b.call("POST", "/se/log", map[string]string{"type": "browser"}, &lines)
	for _, l := range lines {
		messages = append(messages, l.Level+": "+l.Message)
	}
	return messages
}

// screenshot saves an image of the whole page if -screenshots is set.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	var clip map[string]int
	b.eval(`const page = document.documentElement;
		return {
			x: 0, y: 0, width: page.clientWidth, height: page.scrollHeight, scale: 1,
		};`, &clip)
	var shot struct{ Data string }
	b.call("POST", "/goog/cdp/execute", map[string]any{
		"cmd":    "Page.captureScreenshot",
		"params": map[string]any{"captureBeyondViewport": true, "clip": clip},
	}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	file := filepath.Join(*screenshots, strings.ReplaceAll(name, " ", "-")+".png")
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.t.Log(fmt.Sprint("saved ", file))
}
